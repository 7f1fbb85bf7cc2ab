"""Solves a schedule with OR-Tools' CP-SAT or with HiGHS: schedule.py cp-sat|highs SECONDS < problem.json

Prints a line of JSON: the best cost within the time, its proven bound, what it had come to after 2 s, and when it was first within
1 % of the given optimum.
"""

import json
import sys
import time

PUMPS = 6
SOON_S = 2


class Course:
    """What a solver finds when."""

    def __init__(self, target):
        self.begin, self.target = time.time(), target
        self.first_s, self.soon = None, None

    def found(self, cost):
        age_s = time.time() - self.begin
        if age_s <= SOON_S:
            self.soon = cost
        if self.first_s is None and cost <= self.target * 1.01:
            self.first_s = age_s


def usable(problem):
    """Sets of pumps in service."""
    return [c for c in range(64) if all(not c >> p & 1 or problem["pumps"][p]["in_service"] for p in range(PUMPS))]


def slot_cost(problem, slot, c):
    hours = slot["length_min"] / 60
    wear = sum(problem["pumps"][p]["wear_per_h"] for p in range(PUMPS) if c >> p & 1)
    return hours * (problem["power_kw"][c] * slot["price_per_kwh"] + wear)


def limits(problem):
    """Limit m³, whether it is a lower one, price per m³."""
    tank, price = problem["tank"], problem["breaches"]
    margin = tank["margin_m3"]
    return [
        (tank["low_m3"], True, price["low"]),
        (tank["low_m3"] + margin, True, price["margin"]),
        (tank["high_m3"], False, price["high"]),
        (tank["high_m3"] - margin, False, price["margin"]),
    ]


def model(problem, build):
    """States the problem once for any solver: `build` has var, boolean, add (sum of terms between bounds), cost."""
    sets = usable(problem)
    tank, price = problem["tank"], problem["breaches"]
    up = max(1, -(-problem["min_up_min"] // problem["slot_min"]))
    down = max(1, -(-problem["min_down_min"] // problem["slot_min"]))
    before, ran, starts, stops = None, None, [], []
    begin = 0
    peak = build.var(0, 1000) if problem["demand_charge_per_kw"] else None
    if peak is not None:
        build.cost(peak, problem["demand_charge_per_kw"])
    for slot in problem["slots"]:
        hours = slot["length_min"] / 60
        choice = {c: build.boolean() for c in sets}
        build.add([(v, 1) for v in choice.values()], 1, 1)
        for c, v in choice.items():
            build.cost(v, slot_cost(problem, slot, c))
        after = build.var(0, tank["volume_m3"])
        unmet, spilt = build.var(0, 1000), build.var(0, 1000)
        build.cost(unmet, price["unmet"])
        build.cost(spilt, price["spilt"])
        terms = [(v, -hours * problem["flow_m3h"][c]) for c, v in choice.items()] + [(after, 1), (unmet, -1), (spilt, 1)]
        given = -hours * slot["demand_m3h"]
        if before is None:
            given += tank["now_m3"]
        else:
            terms.append((before, -1))
        build.balance(terms, given)
        for limit, is_low, cost in limits(problem):
            beyond = build.var(0, tank["volume_m3"])
            build.cost(beyond, cost)
            if is_low:
                build.add([(after, 1), (beyond, 1)], limit, None)
            else:
                build.add([(after, 1), (beyond, -1)], None, limit)
        on, start, stop = {}, {}, {}
        for p in range(PUMPS):
            pump = problem["pumps"][p]
            if not pump["in_service"]:
                continue
            on[p], start[p], stop[p] = build.boolean(), build.boolean(), build.boolean()
            build.cost(start[p], pump["start_price"])
            build.add([(v, 1) for c, v in choice.items() if c >> p & 1] + [(on[p], -1)], 0, 0)
            terms = [(on[p], 1), (start[p], -1), (stop[p], 1)]
            was = 0
            if ran is None:
                was = int(pump["on"])
            else:
                terms.append((ran[p], -1))
            build.add(terms, was, was)
            build.add([(s[p], 1) for s in (starts + [start])[-up:]] + [(on[p], -1)], None, 0)
            build.add([(s[p], 1) for s in (stops + [stop])[-down:]] + [(on[p], 1)], None, 1)
            least = problem["min_up_min"] if pump["on"] else problem["min_down_min"]
            if pump["since_min"] + begin < least:
                build.add([(on[p], 1)], int(pump["on"]), int(pump["on"]))
        held = sum(p["in_service"] and p["on"] and p["since_min"] + begin < problem["min_up_min"] for p in problem["pumps"])
        build.add([(v, bin(c).count("1")) for c, v in choice.items()], None, max(problem["pumps_on_max"], held))
        if peak is not None:
            build.add([(v, problem["peak_kw"][c]) for c, v in choice.items()] + [(peak, -1)], None, problem["reached_kw"])
        before, ran = after, on
        starts.append(start)
        stops.append(stop)
        begin += slot["length_min"]
    missing, over = build.var(0, tank["volume_m3"]), build.var(0, tank["volume_m3"])
    build.cost(missing, price["end"])
    build.cost(over, -price["surplus_worth"])
    build.balance([(before, 1), (missing, 1), (over, -1)], tank["end_m3"])


class CpSat:
    """In whole numbers of 0.05 m³ and 0.001 money."""

    UNIT, MONEY = 0.05, 0.001

    def __init__(self):
        from ortools.sat.python import cp_model

        self.cp = cp_model
        self.model = cp_model.CpModel()
        self.objective = []
        self.volumes = set()

    def var(self, low, high):
        made = self.model.new_int_var(int(low / self.UNIT), int(high / self.UNIT), "")
        self.volumes.add(made.index)
        return made

    def boolean(self):
        return self.model.new_bool_var("")

    def cost(self, variable, cost):
        scale = self.UNIT if variable.index in self.volumes else 1
        # A thousandth of the unit of money, since a unit of water costs so little.
        self.objective.append((variable, round(cost * scale / self.MONEY * 1000)))

    def scaled(self, terms):
        """Whole numbers in units of 0.05 where volumes take part."""
        has_volume = any(v.index in self.volumes for v, _ in terms)
        factor = 1 / self.UNIT if has_volume else 1
        return [(v, round(k if v.index in self.volumes else k * factor)) for v, k in terms], factor

    def add(self, terms, low, high):
        terms, factor = self.scaled(terms)
        total = sum(k * v for v, k in terms)
        if low is not None:
            self.model.add(total >= round(low * factor))
        if high is not None:
            self.model.add(total <= round(high * factor))

    def balance(self, terms, given):
        self.add(terms, given, given)

    def solve(self, seconds, target):
        course = Course(target)

        class Watch(self.cp.CpSolverSolutionCallback):
            def on_solution_callback(watch):
                course.found(watch.objective_value * self.MONEY / 1000)

        self.model.minimize(sum(k * v for v, k in self.objective))
        solver = self.cp.CpSolver()
        solver.parameters.max_time_in_seconds = seconds
        solver.parameters.num_workers = 2
        status = solver.solve(self.model, Watch())
        scale = self.MONEY / 1000
        found = status in (self.cp.OPTIMAL, self.cp.FEASIBLE)
        return (solver.objective_value * scale if found else None), solver.best_objective_bound * scale, course


class Highs:
    def __init__(self):
        import highspy

        self.highspy = highspy
        self.model = highspy.Highs()
        self.model.setOptionValue("output_flag", False)
        self.costs = []

    def var(self, low, high):
        self.model.addVar(low, high)
        self.costs.append(0.0)
        return len(self.costs) - 1

    def boolean(self):
        made = self.var(0, 1)
        self.model.changeColIntegrality(made, self.highspy.HighsVarType.kInteger)
        return made

    def cost(self, variable, cost):
        self.costs[variable] += cost
        self.model.changeColCost(variable, self.costs[variable])

    def add(self, terms, low, high):
        infinity = self.highspy.kHighsInf
        self.model.addRow(
            -infinity if low is None else low,
            infinity if high is None else high,
            len(terms),
            [v for v, _ in terms],
            [float(k) for _, k in terms],
        )

    def balance(self, terms, given):
        self.add(terms, given, given)

    def solve(self, seconds, target):
        course = Course(target)

        def improved(event):
            course.found(event.data_out.objective_function_value)

        self.model.cbMipImprovingSolution.subscribe(improved)
        self.model.setOptionValue("time_limit", float(seconds))
        self.model.setOptionValue("threads", 2)
        self.model.run()
        info = self.model.getInfo()
        found = info.primal_solution_status == 2
        return (info.objective_function_value if found else None), info.mip_dual_bound, course


def main():
    name, seconds = sys.argv[1], float(sys.argv[2])
    problem = json.load(sys.stdin)
    build = {"cp-sat": CpSat, "highs": Highs}[name]()
    model(problem, build)
    cost, bound, course = build.solve(seconds, problem["optimum"])
    told = {"cost": cost, "bound": bound, "cost_after_2_s": course.soon, "first_within_1_pct_s": course.first_s}
    print(json.dumps(told))


if __name__ == "__main__":
    main()
