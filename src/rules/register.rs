//! The rationalisation record of each rule, after ISA-18.2 and IEC 62682: why the alarm exists, what follows when
//! nobody acts, and what the operator does.
//!
//! Every action is taken by a person at the PLC, the panel or in the field: this software advises and never controls.
//! The response time counts from the raise, which comes after the rule's held minutes and the delivery delay of the
//! data, and is the tightest that the plausible causes ask for.

/// Why an alarm exists and what to do about it, after ISA-18.2.
#[derive(Clone, Copy, Debug)]
pub struct Record {
    /// Rule code.
    pub code: &'static str,
    /// Probable causes, most probable first.
    pub cause: &'static str,
    /// What happens when nobody acts, and how soon.
    pub consequence: &'static str,
    /// What the operator does, in order.
    pub action: &'static str,
    /// Time within which acting still averts the consequence, min; `None` for what is only for the record.
    pub respond_within_min: Option<u32>,
}

/// One record a rule, in the order of the catalogue.
pub static REGISTER: [Record; 47] = [
    Record {
        code: "A-01",
        cause: "Mains failure on the incoming supply; main incomer, undervoltage relay or phase monitoring relay tripped; emergency-stop chain or 24 V control supply lost, which drops every command at once. An ordinary stop of the last pumps by the PLC while the tank is being drawn down looks the same in the data.",
        consequence: "Nothing refills the tank: it falls at the rate of demand and supply is lost when it is empty, typically within hours, sooner from a low level. The sudden stop has already sent a surge through the rising main; a non-return valve left hanging lets the main drain back and spins the pumps in reverse.",
        action: "At the main panel read the voltage of all three phases, the phase monitoring relay and the emergency-stop lamp; if all are healthy, check on the PLC whether it stopped the pumps itself. Without mains, call the network operator, work out the hours of reserve from level and rate of fall, and prepare standby power or a cut in demand. When power is back, start the pumps one at a time through the PLC and give maintenance the relay flags.",
        respond_within_min: Some(15),
    },
    Record {
        code: "A-02",
        cause: "Motor protection relay or VFD of this pump tripped; feeder breaker open or a fuse blown; contactor coil or control fuse failed; local isolator left open; kW meter of this pump dead. The supply as a whole is alive, because a neighbour draws normal power.",
        consequence: "The station is one pump short, and at high demand the tank begins to fall within the hour. Repeated resets onto a winding or cable fault destroy motor and contactor within a few attempts.",
        action: "At this pump's cubicle read the contactor position, relay flag, VFD fault code and ammeter: current on the ammeter means that only the kW signal is lost. Select another pump through the PLC, then have an electrician isolate and lock off before fuses or terminals are touched. Reset once at most, after an insulation test if a relay or breaker tripped, and give maintenance the flag or code.",
        respond_within_min: Some(15),
    },
    Record {
        code: "A-03",
        cause: "The network operator restored the mains; the incomer, phase monitoring relay or control supply was reset; or the stop was no outage and the PLC has started a pump again. It is an event and is closed in the minute it is raised.",
        consequence: "None by itself. If all pumps start together, the inrush can trip the incomer again and the surge strains the rising main; phases swapped during network repairs turn direct-on-line pumps backwards with little flow.",
        action: "Check on the PLC that the pumps started one after another and that flow and level rise, and at the panel that no VFD or motor protection relay waits for a reset. If the network was repaired, compare flow per pump with the day before to rule out swapped phases. Log start, end and cause of the interruption.",
        respond_within_min: None,
    },
    Record {
        code: "A-04",
        cause: "Speed change of a VFD-driven pump, normal if the PLC asked for it; air or debris passing the impeller; voltage dip or unbalance; loose power terminal or burnt contactor pole; noisy power transducer. Several pumps jumping in the same minute point to the supply, one alone to its own circuit or suction.",
        consequence: "A loose joint or burnt pole heats up and ends in phase loss and a burnt motor within hours to days. Repeated gulps of air wear seal and bearings over days.",
        action: "At the panel compare the three phase voltages and currents and read the VFD speed reference; then listen to the pump and look at the suction level. If the phase currents differ by more than about 10 %, change to another pump through the PLC. Ask maintenance for a thermal image of the terminals under load, and for a voltage record if several pumps jumped.",
        respond_within_min: Some(240),
    },
    Record {
        code: "A-05",
        cause: "PLC left in manual after work; selectors at off or a maintenance lock-out; start level set too low, or a tariff schedule holding the pumps back; interlock such as low suction level. Power was drawn within the last day, so the supply is probably, but not certainly, still there.",
        consequence: "None while the reserve covers the demand. A station forgotten out of automatic uses up its reserve within hours to a day, and D-01 then comes with little time left.",
        action: "On the PLC check mode, start level, schedule and active interlocks; at the panel check selectors, lock-outs and mains voltage. If nobody holds the pumps off on purpose, restore automatic at the panel and watch the first start. Otherwise note who holds them off and until when.",
        respond_within_min: Some(1440),
    },
    Record {
        code: "B-01",
        cause: "Motor protection or thermistor relay tripped; VFD fault; contactor not pulled in (coil, control fuse, auxiliary contact); field interlock open, such as low suction pressure, seal leak or local stop; kW signal lost. If every commanded pump is dead, B-07 names the common causes.",
        consequence: "The PLC counts on a pump that delivers nothing, so at high demand the tank falls within the hour unless the PLC itself brings in a standby. Blind resets onto a blocked pump or an earth fault burn the winding or weld the contactor.",
        action: "Read ammeter, contactor position, relay flag or VFD fault code before resetting anything; current on the ammeter means a lost kW signal. Start another pump through the PLC, then lock off, turn the shaft by hand and test the insulation before one reset. Tell maintenance the code, whether the shaft turned and how warm the motor was.",
        respond_within_min: Some(10),
    },
    Record {
        code: "B-02",
        cause: "Suction lost: low sump, clogged suction strainer or air lock; discharge valve shut or non-return valve stuck closed; magnetic flow meter dead or its pipe not full; coupling sheared or impeller loose. The meter is common to all pumps, so it accuses every pump that runs.",
        consequence: "A dry pump ruins its mechanical seal within minutes. Against a shut valve the water in the casing reaches boiling within roughly 10 to 30 minutes and takes seal, wear rings and bearings with it.",
        action: "Check whether the tank rises: if it does, water is moving and the meter is at fault. If not, stop the pump through the PLC or at the panel at once, then check sump level, strainer, valves and coupling; let a hot casing cool before venting or priming it. Restart once, primed and vented, watching the discharge pressure, and tell maintenance the minutes without flow and whether power was low (air, coupling) or near normal.",
        respond_within_min: Some(5),
    },
    Record {
        code: "B-03",
        cause: "Common suction lost: empty sump, blocked intake screen or air drawn in by a vortex; magnetic flow meter dead or its signal lost; common discharge valve shut; discharge header burst before the meter. Separate faults on two pumps in the same minutes are unlikely.",
        consequence: "Several seals run hot within minutes, so duty and standby pumps can be lost together and the supply with them until spares arrive. A burst header floods the dry well and its motors within minutes to an hour.",
        action: "Read the tank trend and the discharge pressure gauge: a rising level means a dead meter, high pressure a shut valve, no pressure an empty suction or a burst. Unless the tank rises, stop all running pumps at the panel at once, then look from the entrance for water on the floor, and check sump level and valve positions, in that order. Restart one pump only, primed and vented, opening its valve slowly, and tell maintenance the gauge readings and the minutes without flow.",
        respond_within_min: Some(5),
    },
    Record {
        code: "B-04",
        cause: "Debris in the impeller or rubbing wear rings; failing bearing or misaligned coupling; pump far out on its curve because the back-pressure is gone, as with a burst main; VFD above nominal frequency; wrong current-transformer ratio. Low voltage, unbalance or phase loss shows on the three ammeters.",
        consequence: "The winding passes its permitted temperature within about half an hour, and every further 10 K halves the life of its insulation; a seized bearing or a burnt winding follows. A motor protection relay may take up to two hours at this overload, so do not wait for it.",
        action: "Compare the three phase currents with the nameplate, then check bearing temperature, noise and discharge pressure. Change to another pump through the PLC, stop and lock off this one and turn its shaft by hand; with high flow and low pressure look for a burst first. Give maintenance currents, voltage, pressure and temperature.",
        respond_within_min: Some(15),
    },
    Record {
        code: "B-05",
        cause: "VFD at low speed, which may be intended: 40 % power is about 74 % speed; air drawn in or clogged suction strainer; this pump's discharge valve shut or non-return valve stuck while others make the flow; sheared coupling; worn or loose impeller.",
        consequence: "A pump that moves no water behind another's flow overheats in the same 10 to 30 minutes as in B-02, and the station meter hides it. With air or a worn impeller it goes on wasting energy and wears seal and bearings over days.",
        action: "Read the VFD speed first; if it is low on purpose, nothing else is needed. Otherwise feel the casing, read this pump's suction and discharge pressure, and watch coupling and shaft turn together. If the casing is hot or its pressure does not differ from standstill, change pumps through the PLC and ask maintenance to check strainer, valves, coupling and impeller.",
        respond_within_min: Some(60),
    },
    Record {
        code: "B-06",
        cause: "Pump running in hand or local at the panel; command signal lost between PLC and historian; welded contactor; kW signal frozen, offset or wired to another pump. Steady power far below the motor's no-load draw is a meter offset or a heater, not a running pump.",
        consequence: "The PLC cannot stop this pump: it fills the tank beyond its stop level within the hour, or runs dry when the sump is low. A contactor welded in two poles only single-phases the motor and burns it within minutes, as the motor protection relay can only open that same contactor.",
        action: "See whether the shaft turns and read the ammeter and the hand/auto selector. If it runs in hand without reason, return it to automatic; if it does not obey the stop, open its feeder breaker and lock it off, since the stop button is no proof of isolation. Have maintenance inspect the contactor before it is used again, or the kW signal if the pump stands still.",
        respond_within_min: Some(15),
    },
    Record {
        code: "B-07",
        cause: "Mains or busbar lost while the PLC keeps its commands on its own back-up supply; emergency stop or phase monitoring relay opened the common contactor circuit; control transformer or its fuse failed; power metering link down with all kW at zero. Two or more separate trips in one minute are unlikely.",
        consequence: "No inflow: the tank falls at the rate of demand and runs empty within hours, sooner from a low level. As the commands still stand, all pumps may start together when power returns and trip the incomer or send a surge through the rising main.",
        action: "Look at the flow first: if water still flows, only the metering link is lost. Otherwise check at the main panel the three phase voltages, the phase monitoring relay, the emergency stops and the control fuse; withdraw the commands on the PLC before restoring supply. Restart one pump at a time and give maintenance the relay flags and the order of events.",
        respond_within_min: Some(10),
    },
    Record {
        code: "C-01",
        cause: "Zero drift of the magnetic flow meter or a pipe that is not full; non-return valve not seating, with the tank draining back through a stopped pump; gravity or siphon flow through an open bypass; a pump running while its command and kW signals are both lost.",
        consequence: "Lifted water runs back and is paid for twice, every hour until it is stopped; a pump spinning backwards can shear its shaft or trip at the next start. If it is only the meter, totals and efficiency figures are wrong from now on.",
        action: "Look for a shaft turning backwards and at the tank trend: falling faster than demand explains means backflow. Keep a pump that spins backwards from starting through the PLC and close its discharge valve slowly. If nothing turns, shut the line with the pipe full and check that the meter reads zero, then tell maintenance which valve passes or what the zero reading was.",
        respond_within_min: Some(30),
    },
    Record {
        code: "C-02",
        cause: "Valve opened, or an air lock cleared so that a running pump took up its duty; VFD speed raised, or a pump started in hand; burst downstream of the meter, with less back-pressure; meter disturbed by air, an electrode fault or its earthing. Ordinary starts are masked for some minutes.",
        consequence: "A burst washes out the ground and empties main or tank within the hour, and pumps running far out on their curve cavitate and overload. A disturbed meter spoils the day's total.",
        action: "Compare discharge pressure, pump power and tank trend: more flow with falling pressure and no faster rise of the tank means a burst; unchanged pressure and power mean the meter. For a burst, stop pumps through the PLC, close the section valve slowly and report the location. Otherwise note who opened or started what, or ask maintenance to check meter earthing and full pipe.",
        respond_within_min: Some(60),
    },
    Record {
        code: "C-03",
        cause: "Discharge or line valve closed in part; air lock or clogged suction strainer on a running pump; pumped water going elsewhere, through the stuck non-return valve of a stopped pump or a burst before the meter; magnetic flow meter fault. Power within its band does not clear the pumps, as many draw half their power against a shut valve.",
        consequence: "Water pumped round through a stopped pump drives it in reverse, and a burst before the meter floods the dry well within the hour. A throttled or airbound pump overheats within half an hour if the flow goes on falling.",
        action: "Check whether the tank still rises at its usual rate: if so, it is the meter. If not, read discharge pressure (high: valve; low: air, backflow or burst), look for water on the floor and for a stopped pump turning backwards. Stop the affected pump through the PLC, put valve or air right, and tell maintenance flow, pressure and power before and after.",
        respond_within_min: Some(20),
    },
    Record {
        code: "C-04",
        cause: "Clogged suction strainer or rag in an impeller; non-return valve of a standby pump passing; discharge valve not fully open; worn impeller or wear rings; air pockets or deposits in the rising main. A different mix of pumps on the two days or a drifting meter gives the same ratio.",
        consequence: "Each cubic metre costs at least a tenth more energy from now on. If clogging goes on, it ends within days to weeks in cavitation, loss of suction and a dry-run trip.",
        action: "Compare which pumps ran on the two days and how fast the tank rose; a level that rose as before clears the hydraulics and points to the meter. Run each pump alone for ten minutes through the PLC, noting flow, pressure and power, to find the weak one. Ask maintenance to clean its strainer first, then to check non-return valves, air valves and impeller clearance.",
        respond_within_min: Some(1440),
    },
    Record {
        code: "C-05",
        cause: "Zero drift or noise of the magnetic flow meter at standstill; non-return valve passing, with the tank draining back; open bypass, drain or siphon; residual flow in the minutes after a pump stop. One minute is enough to raise it, so a short alert after a stop means little.",
        consequence: "A steady backflow takes water from the tank all night, and the morning starts with less reserve. Measured night flow is counted as delivered water and hides real losses.",
        action: "See whether it lasts: H-04 follows when it does. At the next round check for shafts turning backwards, open drains and bypasses, and compare the tank's fall with the usual night demand. Give maintenance the flow reading at standstill and the times, for the meter zero or the passing valve.",
        respond_within_min: Some(480),
    },
    Record {
        code: "C-06",
        cause: "Transmitter output held at its last value after a fault or left in simulation; PLC analogue input or its scaling stuck; value pinned at the end of its range; historian dead-band or compression too wide. A reading that stays at zero can be true if the switched pump delivered nothing.",
        consequence: "As long as it stands, loss of flow and bursts are not seen: the no-flow rules cannot raise on a false flow, and a pump can run dry unprotected within minutes of losing suction. Totals and efficiency drift from the truth by the hour.",
        action: "Compare the display on the flow transmitter with the PLC and with this reading: the first place where it stands still is the fault. If it reads zero with a pump running, treat it as B-02. Until it is repaired, judge flow by tank rise and discharge pressure, and tell maintenance where the signal stops and since which minute.",
        respond_within_min: Some(240),
    },
    Record {
        code: "C-07",
        cause: "Totaliser in the PLC stopped, in hold or at its limit; pulse output or counter input of the meter failed; historian tag stale or with too wide a dead-band; flow so small that half an hour stays below one count of the total.",
        consequence: "The day's total and energy per cubic metre come out too small, and water that is not counted cannot be recovered after midnight except from the mean flow. The pumps are not affected.",
        action: "Compare the totaliser on the transmitter with DAY_TOTAL on the PLC, ten minutes apart: if only the PLC stands, it is the counter or the pulse input; if both advance, the historian. Note the transmitter's own total now and before midnight. Tell maintenance which of the three stands and since when.",
        respond_within_min: Some(480),
    },
    Record {
        code: "D-01",
        cause: "Pumps not running or tripped (A-01, B-01 and B-07 tell); demand above the pumping capacity; burst main or open drain; pumps running without delivering; level transmitter reading low. The tank has lost level over the last five minutes, so the inflow does not cover the outflow.",
        consequence: "At the present rate of fall the tank runs empty, often within 30 to 60 minutes. Then supply fails and air enters the outlet main, which must be vented and refilled slowly to avoid water hammer.",
        action: "Confirm the level at the tank gauge or low-level switch, then check that pumps run and flow comes in. Start every available pump one at a time through the PLC, look for a burst or an open drain, and ask network control to cut demand before the outlet runs dry. Tell maintenance which pumps were not available and why.",
        respond_within_min: Some(10),
    },
    Record {
        code: "D-02",
        cause: "Long pump or power failure not answered in time; demand or a burst beyond pumping capacity; drain or scour valve open; level transmitter failed low or its impulse line blocked. If the level fell from a normal value within a few minutes, suspect the transmitter.",
        consequence: "Supply from the tank has failed or is about to. Air is drawn into the outlet main within minutes, low pressure can suck dirty water in through leaks, and refilling a drained main too fast causes water hammer.",
        action: "Confirm at the tank gauge; if the tank is not empty, keep the PLC from filling on the false level and call maintenance to the transmitter. If it is, report the interruption, close the outlet valve slowly with network control's consent to keep the main full, and start the pumps one at a time through the PLC. Reopen slowly with air valves working once some reserve is back, and have water quality checked where the main lost pressure.",
        respond_within_min: Some(5),
    },
    Record {
        code: "D-03",
        cause: "Stop level set too high or not acted on by the PLC; pump in hand; more pumps running than the demand needs; level control working on a drifting transmitter; outlet valve shut. The percentage is of the highest level on record, not of the overflow edge.",
        consequence: "The tank overflows when the rest is filled: remaining volume divided by net inflow, often 10 to 30 minutes. Overflow wastes lifted water and energy, and can wash out the embankment or flood what lies below.",
        action: "Confirm at the tank gauge or high-level switch, then read the stop level and mode on the PLC. If the pumps do not stop by themselves at the stop level, stop them through the PLC one at a time, or at the panel if they run in hand. Check the overflow outlet is clear and tell maintenance if level switch and transmitter disagree.",
        respond_within_min: Some(10),
    },
    Record {
        code: "D-04",
        cause: "Burst in the outlet or rising main; exceptional demand such as fire-fighting or main flushing; drain or scour valve open; non-return valve stuck open, with the tank emptying back through the pumps; level transmitter jumping. A single noisy minute is enough to raise it.",
        consequence: "At two units a minute a full tank of 500 units is empty in about four hours, a half-full one in two. A burst washes out the ground meanwhile, and backflow floods the sump and spins the pumps in reverse.",
        action: "Check on the trend that the fall goes on for several minutes and agrees with the tank gauge, and ask network control about fire-fighting or flushing. Look for pumps turning backwards and open drains; for a burst, close the section valve slowly. Have pumps started through the PLC only when the water is not lost, and tell maintenance the rate of fall and when it began.",
        respond_within_min: Some(20),
    },
    Record {
        code: "D-05",
        cause: "Demand equal to or above what the pumps deliver; burst or open drain; pumps airbound, clogged or worn; water going round through a stuck non-return valve; level transmitter frozen, or the tank already at its overflow edge. High flow puts the cause after the meter, low flow before it.",
        consequence: "Three or more pumps spend full energy without gain. If the cause is a burst or lost suction, seals fail within minutes to hours and the tank goes on falling towards loss of supply.",
        action: "Read the flow and compare it with what these pumps usually deliver together. If it is normal, check tank gauge, overflow, drains and mains for a burst; if it is low, check each pump's discharge pressure, sump level and stopped pumps turning backwards. Through the PLC stop pumps that add nothing and start a sound one, and tell maintenance flow, pressure and which pumps ran.",
        respond_within_min: Some(30),
    },
    Record {
        code: "D-06",
        cause: "Loop wire broken or transmitter supply lost (reads below zero); short circuit or over-range (reads above); zero drift at an almost empty tank; wrong scaling after a replacement; flooded or blocked pressure transmitter. A level that really rises above the range has passed the overflow edge.",
        consequence: "All tank alarms are blind, since an impossible value counts as unknown. If the PLC uses the same signal, it may keep filling until overflow, or stop filling until the tank is empty, within the hour.",
        action: "Read the tank gauge and the float switches now, then see what the PLC does with the bad signal. Take level control into manual at the panel if it fills or starves the tank, and read the gauge every 15 minutes until repair. Have maintenance measure the loop current: below 4 mA means wire or supply, above 20 mA short circuit or over-range.",
        respond_within_min: Some(15),
    },
    Record {
        code: "D-07",
        cause: "Transmitter output held after a fault or left in simulation; pressure tapping blocked, or float or rope stuck; PLC analogue input or scaling stuck; historian dead-band too wide for a slow tank; tank standing at its overflow edge or truly in balance. One small pump in a large tank can need longer than this to move a coarse reading.",
        consequence: "Pumps controlled by a level that does not move never reach their stop or start point: overflow or an empty tank follows, typically within one to a few hours. Low and high level alarms stay silent meanwhile.",
        action: "Compare the tank gauge with the reading, and look at the overflow. If they differ, run the pumps by hand at the panel against the gauge or the float switches until the signal is repaired. Tell maintenance whether transmitter display, PLC and historian stand at the same value and since when.",
        respond_within_min: Some(60),
    },
    Record {
        code: "E-01",
        cause: "Demand close to what the duty pump delivers; duty rotation switched off in the PLC or the other pumps out of service; pump left in hand; stop level never reached because of a leak, a worn pump or level drift. A stop hidden in a data gap is not seen, so the run may be shorter than it looks.",
        consequence: "No immediate damage to a sound pump. Wear gathers on one machine, bearings run without a cooling pause, and over days a standby that never runs seizes or fails its first start.",
        action: "Check selector and rotation on the PLC and whether the tank rises while it runs; feel bearing and motor temperature. If nothing forbids it, change over to a rested pump through the PLC, starting the new one before stopping the old. Tell maintenance of the hours run and of any pump that could not take over.",
        respond_within_min: Some(480),
    },
    Record {
        code: "E-02",
        cause: "Demand above the capacity of the station; burst main or open drain; several pumps worn, clogged or airbound; stop level unreachable because the transmitter is frozen or reads low; all pumps left in hand. The rule sees commands only, so a commanded pump may stand still.",
        consequence: "There is no standby left, so one trip lets the tank fall at once. Energy and demand charge are at their maximum with no level gained, every hour.",
        action: "Count at the panel how many pumps really run and compare the flow with what fewer pumps give: on a steep system curve the fifth and sixth add little. Confirm the level at the tank gauge, look for burst, drain or overflow, then through the PLC stop the pumps that add nothing. Report a lasting demand to network control and the weak pumps to maintenance.",
        respond_within_min: Some(120),
    },
    Record {
        code: "E-03",
        cause: "Start and stop levels too close together; level signal noisy or a float switch chattering; suction pressure or low-sump interlock dropping in and out; motor protection relay or VFD resetting itself; passing non-return valve that lets the level fall back at once.",
        consequence: "Each direct-on-line start heats the winding with several times its rated current and strikes contactor, coupling and non-return valve. Kept up over hours it shortens their life markedly and can grow into E-04.",
        action: "Read on the PLC what stops the pump each time: level, interlock or trip. Widen the gap between start and stop level, or have another pump take the duty through the PLC, if the level does it; look for the cause of the interlock or trip if not, without bypassing it. Give maintenance the number of starts and the reason for the stops.",
        respond_within_min: Some(240),
    },
    Record {
        code: "E-04",
        cause: "Chattering level switch, loose command wire or relay contact; interlock or pressure switch with no hysteresis; self-resetting overload or VFD fault; start and stop levels set to nearly the same value. If the command alone flickers and the power is steady, it is the signal and not the pump.",
        consequence: "Most motors of this size stand some six to ten starts an hour: heat builds up from start to start and winding or contactor can fail within the hour. Every stop adds a pressure surge in the rising main.",
        action: "See at the cubicle whether the contactor really pulls in and drops out; if so, take the pump out of automatic at the panel now and let another one do the duty. Leave the motor to cool for at least half an hour before its next start. Have maintenance check the control circuit, contactor tips and settings before it returns to automatic.",
        respond_within_min: Some(15),
    },
    Record {
        code: "E-05",
        cause: "Worn impeller or wear rings; clogged strainer or rag in the impeller; discharge valve not fully open or a passing non-return valve; more head, or other pumps running beside it. The flow is shared equally among running pumps, so a weak neighbour or a new mix of pumps lowers this figure too.",
        consequence: "Water from this pump costs at least a quarter more energy than in the week before. Wear and clogging grow over weeks and end in a pump that no longer reaches its head.",
        action: "See with which pumps it ran that day; if the mix has changed, compare again after a few days. Otherwise plan a test: this pump alone through the PLC, with flow, suction and discharge pressure and power noted against its curve. Give maintenance the result for cleaning or overhaul, and let better pumps lead until then.",
        respond_within_min: Some(10080),
    },
    Record {
        code: "F-01",
        cause: "Historian export late or still being written; historian service or PC restarted; network share or switch interrupted for a moment; PLC communication driver reconnecting. The silence says nothing about the pumps themselves.",
        consequence: "No rule looks at the process for these minutes, and running delays start again after a hole of six minutes or more. Late files fill the gap afterwards.",
        action: "Nothing at once: it closes with the next row or becomes F-02 after half an hour. If it comes back at the same hour each day, tell the historian's keeper the times, as backups and updates are the usual reason.",
        respond_within_min: None,
    },
    Record {
        code: "F-02",
        cause: "Historian service stopped or its disk full; network share no longer mounted or its password expired; switch, cable or firewall between historian and gateway; PLC or communication card down; power failure at the station. If Modbus polling is configured it has failed as well, which points to the network or the PLC.",
        consequence: "The station runs unwatched by this software: no dry run, overflow or empty tank is reported until data return. With the PLC itself down, the tank runs empty or over within hours.",
        action: "First make sure of the plant: read level, flow and running pumps on the PLC panel or by telephone, and repeat it every half hour while data are missing. Then check historian service and disk, share and network link, in that order. Tell IT or automation the minute of the last row and what still answers.",
        respond_within_min: Some(30),
    },
    Record {
        code: "F-03",
        cause: "Transmitter in fault hold or simulation; empty pipe, fouled electrodes or coil failure; analogue input card or scaling in the PLC; historian dead-band or compression. It is the condition of C-06, kept here for the care of the instrument and its data.",
        consequence: "Flow, daily totals and pump efficiency of the stretch are not usable, and forecasts learn from wrong values until it is repaired. What it means for the pumps stands under C-06.",
        action: "Once C-06 has been answered, read the transmitter's diagnostics and loop current, and force a change by having a pump switched through the PLC when operation allows. Have the instrument technician clean electrodes, check earthing and full pipe, and set the historian dead-band below the noise. Note start and end so that the stretch can be left out of reports.",
        respond_within_min: Some(1440),
    },
    Record {
        code: "F-04",
        cause: "Transmitter in fault hold or simulation; blocked impulse line, vent tube or stuck float; analogue input card or scaling in the PLC; historian dead-band or coarse resolution. It is the condition of D-07, kept here for the care of the instrument and its data.",
        consequence: "Level trends, tank figures and the pumping plan of the stretch rest on a false level, for as long as it stands. What it means for overflow and supply stands under D-07.",
        action: "Once D-07 has been answered, compare transmitter display, loop current and tank gauge at two different levels. Have the instrument technician clear tapping and vent tube, check zero and span, and set the historian dead-band below what one pump moves in five minutes. Note start and end so that the stretch can be left out of reports.",
        respond_within_min: Some(480),
    },
    Record {
        code: "F-05",
        cause: "Loop broken or transmitter unpowered; zero drift of the magnetic flow meter below zero at standstill; real backflow through a passing non-return valve, which a meter of both directions shows as negative; over-range or short circuit; wrong scaling. The value shown is the flow if that is impossible, else the level.",
        consequence: "An impossible value counts as unknown, so all alarms on that signal are blind until it returns: dry run for the flow, overflow and empty tank for the level. Control by the same signal in the PLC may go wrong within the hour.",
        action: "See which signal it is; for the level follow D-06. For a negative flow look for a pump turning backwards and the tank falling, and close that pump's discharge valve slowly; with all pumps still, it is the zero. Have maintenance measure the loop current and compare the ranges in transmitter and PLC.",
        respond_within_min: Some(15),
    },
    Record {
        code: "F-06",
        cause: "Current transformer reversed or phases mixed at the power meter (negative); wrong transformer ratio or PLC scaling; meter register read across an overflow or restart; noise or loose wiring; rarely a true peak, from a locked rotor or a start within the minute.",
        consequence: "Energy, cost and efficiency of this pump are wrong from this minute. If it were real, a locked rotor would burn the winding within a minute or two unless the motor protection relay trips.",
        action: "Compare the ammeter at the cubicle with nameplate and reading: normal current means a metering fault, high current is B-04 and the pump is stopped at the panel. Note whether it lasts or was one minute only. Ask maintenance to check transformer direction, ratio and scaling, above all after recent work.",
        respond_within_min: Some(240),
    },
    Record {
        code: "F-07",
        cause: "Historian export repeated with corrected values; two loggers or a redundant pair writing the same tags; historian clock set back; overlapping files put together by hand. It is an event; the value read last is kept.",
        consequence: "None for the plant. One of two values was dropped, so a figure of that minute may differ from other reports.",
        action: "Nothing at once. If it comes daily, tell the historian's keeper the file and the minute, so that one logger is switched off or the clock is set by the time server.",
        respond_within_min: None,
    },
    Record {
        code: "G-01",
        cause: "Start and stop levels in the PLC that ignore the tariff; pump left in hand; low night filling, so that the tank is topped up in the peak; tariff windows or plant clock set wrongly. More pumps than the demand needs show as a steady rise.",
        consequence: "Water is bought at the peak rate, and perhaps a new demand maximum, although the tank could wait. Once the peak window is over the extra cost cannot be recovered; the plant is not harmed.",
        action: "Check that the reserve covers the demand to the end of the peak window, with margin for a failure. If it does, stop pumps one at a time through the PLC, keeping minimum run times, and restart after the window. Ask automation for a peak stop level if it happens daily.",
        respond_within_min: Some(120),
    },
    Record {
        code: "G-02",
        cause: "Pump dry, airbound or against a shut valve; magnetic flow meter dead; pump turning in hand without a command against a closed line; kW offset or heater load while all pumps stand. It takes all power together, so B-02, B-03 and B-06 tell which pump and why.",
        consequence: "If a pump really runs, its seal and casing overheat within minutes and all its energy becomes heat. If it is an offset, only the energy figures suffer.",
        action: "Read the ammeters: only a pump with real current matters. If the tank does not rise, stop that pump through the PLC or at the panel, then check sump level, strainer and valves as for B-02. If nothing turns or the tank rises, give maintenance the kW offset or the dead meter.",
        respond_within_min: Some(5),
    },
    Record {
        code: "G-03",
        cause: "Sudden clogging of strainer or impeller; discharge valve left partly shut after work; non-return valve of another pump passing; faulty kW or flow reading on that day; other pumps beside it. The mean includes the day itself, so the loss is 23 % or more against the other days, deeper than E-05 asks for.",
        consequence: "This pump's water costs at least 29 % more energy than on the other days of the week. A sudden drop is more often a blockage or a valve than wear, and it goes on until put right.",
        action: "Check on the day's trend whether it fell in one step: note the hour and what was done then, such as valve work or a meter fault. Check strainer and valve position at the next round, and let another pump lead through the PLC. Give maintenance the step and its time, or the slow trend if there is no step.",
        respond_within_min: Some(2880),
    },
    Record {
        code: "G-04",
        cause: "Higher demand than planned; less efficient pumps leading, or too many in parallel; leakage or burst making up the difference; pump running without flow for part of the day; budget set too low for the season or a faulty kW signal.",
        consequence: "The day costs more than planned; nothing in the plant is endangered. The alert stays until midnight whatever is done.",
        action: "Compare the day's cubic metres and kWh per cubic metre with the week: more water is demand or leakage, more energy per cubic metre is the pumps. Look for E-05, G-02 and F-06 of the day. Record the reason in the shift log, and adjust the budget if the demand is lasting.",
        respond_within_min: None,
    },
    Record {
        code: "H-01",
        cause: "Mains failure at a time of high demand; burst main, the power loss and its surge having broken a weak joint; non-return valve left open after the sudden stop, with the tank draining back; drain or scour valve open. Less than half the reserve was left when it was raised.",
        consequence: "At this rate the lower half of a 500-unit tank lasts under three hours and the last quarter under one and a half. Then supply fails, air enters the mains, and refilling needs hours of slow venting to avoid water hammer.",
        action: "Check at the main panel that power is really out, and call the network operator and standby power at once. Look for pumps turning backwards and shut their discharge valves slowly; ask network control to cut demand or isolate a burst. Read the tank gauge every 15 minutes, pass on the time to empty, and restart one pump at a time when power returns.",
        respond_within_min: Some(10),
    },
    Record {
        code: "H-02",
        cause: "Common cause first: one busbar section, control supply or phase loss; voltage dip that dropped contactors or VFDs; common interlock, such as low sump or flooded dry well; debris blocking several pumps; kW metering link lost. Three separate pump faults at once are unlikely.",
        consequence: "Half the station or more is missing with less than 40 % in the tank: at normal demand it is empty within hours, at high demand within about one. Restarting several pumps together can trip the incomer and lose the rest.",
        action: "Check the flow first, since with normal flow only the metering is lost; then phase voltages, control supply and common interlocks at the main panel, with every relay flag read before resetting. Through the PLC start the pumps that are sound one at a time and ask network control to cut demand. Call maintenance out now with flags and fault codes, and do not bypass an interlock.",
        respond_within_min: Some(10),
    },
    Record {
        code: "H-03",
        cause: "Mains or control supply lost (A-01, B-07); pumps held off by an interlock, emergency stop or manual mode; start level or schedule that lets the tank fall this far; kW metering link lost while pumps run. The rule sees missing power only: pumps that nobody has commanded look the same as faulted ones.",
        consequence: "Nothing refills a tank with under a quarter left: at normal demand it is empty within one to two hours, sooner at a peak. Then supply fails and air enters the outlet main.",
        action: "Read flow and tank gauge, to be sure that nothing is pumped, then see on the PLC whether pumps are commanded. If not, clear mode or interlock and start a pump through the PLC; if they are, check mains, control supply and relay flags at the panel and restore one pump first. Warn network control of the time to empty and call maintenance out.",
        respond_within_min: Some(10),
    },
    Record {
        code: "H-04",
        cause: "Non-return valve passing, with the tank draining back; open bypass, drain or siphon; zero drift of the magnetic flow meter; pump in hand or on a welded contactor, since this rule, unlike C-05, does not ask for zero power. A quarter of an hour rules out the run-down after a stop.",
        consequence: "By morning several hours of lifted water are gone and the reserve is short for the first peak. A pump spinning backwards all night wears its bearings and can shear its shaft when it is started.",
        action: "Read the ammeters: current means a pump running without command, as B-06. Without current, look for a shaft turning backwards and for open drains or bypasses, and compare the tank's fall with the usual night demand; close the discharge valve of the pump that passes slowly and bar its start through the PLC. If tank and shafts are quiet, it is the meter: give maintenance its reading with the line shut.",
        respond_within_min: Some(30),
    },
    Record {
        code: "H-05",
        cause: "Worn or clogging pump that needs ever longer to reach the stop level; suction strainer filling up during the long run; leak or passing non-return valve that takes what it gains; no relief, because rotation is off or others are out of service. Any falling slope counts, so a very small one may be chance.",
        consequence: "The pump runs longer the weaker it gets, and energy per cubic metre rises day by day. Within days to weeks it no longer holds the level alone, and it fails when there is least reserve.",
        action: "Check that rotation is on and which pumps are available, and look at the size of the slope over the week. Change over to a rested pump through the PLC, and see whether the tank then rises faster: if it does, the pump is weak, if not, look for a leak. Ask maintenance to clean strainer and impeller and check wear rings at this stop.",
        respond_within_min: Some(480),
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{CATALOGUE, Severity};

    #[test]
    fn every_rule_has_its_record() {
        for (rule, record) in CATALOGUE.iter().zip(&REGISTER) {
            assert_eq!(record.code, rule.code);
            for text in [record.cause, record.consequence, record.action] {
                assert!(
                    text.len() > 60 && text.ends_with('.'),
                    "{}: {text}",
                    rule.code
                );
            }
        }
    }

    /// What asks for an answer says within what time, the more urgent the sooner.
    #[test]
    fn the_time_to_respond_fits_the_severity() {
        for (rule, record) in CATALOGUE.iter().zip(&REGISTER) {
            let respond = record.respond_within_min;
            let longest = match rule.severity {
                Severity::Critical => 15,
                Severity::High => 60,
                Severity::Warning => 2 * 1440,
                Severity::Info => continue,
            };
            assert!(
                respond.is_some_and(|min| min <= longest),
                "{}: {respond:?}",
                rule.code
            );
        }
    }
}
