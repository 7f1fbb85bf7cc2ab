"""Runs a schedule through EPANET: epanet.py < station.json prints volume, m³, and energy, kWh, at the end of each slot as JSON.

The station is a well, six pumps with head curves in parallel, a main whose loss goes with the square of the flow, a tank and its
consumers. A pump's power follows from the flow and head that EPANET finds.
"""

import json
import math
import os
import sys
import tempfile

import wntr

GRAVITY = 9.81
DIAMETER_M = 0.5


def network(told):
    net = wntr.network.WaterNetworkModel()
    slot_s = told["slot_min"] * 60
    net.options.time.duration = slot_s * len(told["sets"])
    net.options.time.hydraulic_timestep = 60
    net.options.time.report_timestep = 60
    net.options.time.pattern_timestep = slot_s
    net.options.hydraulic.headloss = "D-W"
    net.add_reservoir("well", base_head=0.0)
    net.add_junction("header", elevation=0.0)
    net.add_pattern("demand", [m3h / 3600 for m3h in told["demand_m3h"]])
    net.add_junction("town", base_demand=1.0, demand_pattern="demand", elevation=0.0)
    area = told["volume_m3"] / told["depth_m"]
    net.add_tank(
        "tank",
        elevation=told["static_m"],
        init_level=told["begin_m3"] / area,
        min_level=0.0,
        max_level=told["depth_m"],
        diameter=math.sqrt(4 * area / math.pi),
    )
    # The whole loss of the main as a minor one, which goes exactly with the square of the flow.
    velocity = 1 / 3600 / (math.pi * DIAMETER_M**2 / 4)
    minor = told["friction_m_per_m3h2"] * 2 * GRAVITY / velocity**2
    net.add_pipe("main", "header", "tank", length=0.1, diameter=DIAMETER_M, roughness=0.001, minor_loss=minor, check_valve=True)
    net.add_pipe("supply", "tank", "town", length=0.1, diameter=2.0, roughness=0.001)
    for number, curve in enumerate(told["curves"]):
        name = f"P{number + 1}"
        flow = curve["best_flow_m3h"]
        points = [(q / 3600, curve["shutoff_head_m"] - curve["droop"] * q * q) for q in (0.0, flow, 1.5 * flow)]
        net.add_curve(name, "HEAD", points)
        net.add_pump(name, "well", "header", "HEAD", name)
        pump = net.get_link(name)
        before = None
        for slot, combination in enumerate(told["sets"]):
            on = combination >> number & 1
            if on != before:
                status = wntr.network.LinkStatus.Open if on else wntr.network.LinkStatus.Closed
                if slot == 0:
                    pump.initial_status = status
                else:
                    action = wntr.network.controls.ControlAction(pump, "status", status)
                    when = wntr.network.controls.SimTimeCondition(net, "=", slot * slot_s)
                    net.add_control(f"{name}-{slot}", wntr.network.controls.Control(when, action))
            before = on
    return net, area


def power_kw(curve, flow_m3h, head_m):
    if flow_m3h <= 1e-3:
        return 0.0
    relative = min(flow_m3h / curve["best_flow_m3h"], 1.6)
    efficiency = curve["peak_efficiency"] * relative * (2 - relative) * curve["motor_efficiency"]
    return GRAVITY / 3600 * flow_m3h * head_m / efficiency


def main():
    told = json.load(sys.stdin)
    net, area = network(told)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        done = wntr.sim.EpanetSimulator(net).run_sim()
    level = done.node["head"]["tank"] - told["static_m"]
    head = done.node["head"]["header"]
    flows = [(done.link["flowrate"][f"P{number + 1}"] * 3600).tolist() for number in range(len(told["curves"]))]
    heads, levels = head.tolist(), level.tolist()
    volumes, energies = [], []
    length = told["slot_min"]
    for slot, combination in enumerate(told["sets"]):
        energy = 0.0
        for minute in range(slot * length, (slot + 1) * length):
            for number, curve in enumerate(told["curves"]):
                if combination >> number & 1:
                    energy += power_kw(curve, flows[number][minute], heads[minute]) / 60
        energies.append(energy)
        volumes.append(levels[(slot + 1) * length] * area)
    print(json.dumps({"volume_m3": volumes, "energy_kwh": energies}))


if __name__ == "__main__":
    main()
