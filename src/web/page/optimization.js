// Optimization: the advisory schedule, why, what else would be, and what it saves.
import { h, t, fill, panel, empty, table } from './dom.js';
import { figure, stamp, time, dateTime, pumps } from './format.js';
import * as live from './live.js';
import { get } from './api.js';
import { plot, gantt, PUMPS } from './plots.js';

function runs(slots) {
  const bars = [];
  for (const pump of PUMPS) {
    let open = null;
    for (const slot of slots) {
      const until = slot.ts + slot.length_min * 60;
      if (!slot.pumps.includes(pump)) open = null;
      else if (open) open.until = until;
      else bars.push(open = { pump, begin: slot.ts, until });
    }
  }
  return bars.map(({ pump, begin, until }) => ({ pump, from: stamp(begin), ms: (until - begin) * 1000, text: `${pump}: ${time(begin)} – ${time(until)}` }));
}

function schedule(plan) {
  const { slots, currency } = plan;
  const last = slots.at(-1);
  const x = [...slots.map((it) => stamp(it.ts)), stamp(last.ts + last.length_min * 60)];
  const ends = slots.map((it) => stamp(it.ts + it.length_min * 60));
  const prices = [...slots.map((it) => it.price_per_kwh), last.price_per_kwh];
  return plot({
    label: t('optimization.schedule_label', { n: plan.changes.length }), file: 'schedule', height: 520,
    traces: (colour) => [
      gantt(runs(slots), { name: t('pumps'), colour: colour('plot') }),
      { x, y: prices, yaxis: 'y2', name: t('optimization.price'), mode: 'lines', line: { shape: 'hv', color: colour('plot-3'), width: 2 }, fill: 'tozeroy', fillcolor: `${colour('plot-3')}22`, hovertemplate: `%{y:.3f} ${currency}/kWh<extra></extra>` },
      { x: ends, y: slots.map((it) => it.level_pct), yaxis: 'y3', name: t('optimization.level'), mode: 'lines', line: { color: colour('plot'), width: 2 }, hovertemplate: `%{y:.1f} %<extra>${t('level')}</extra>` },
      { x: slots.map((it) => stamp(it.ts)), y: slots.map((it) => it.demand_m3h), yaxis: 'y4', name: t('optimization.demand'), mode: 'lines', line: { color: colour('plot-2'), dash: 'dot' }, hovertemplate: `%{y:.0f} m³/h<extra>${t('optimization.demand')}</extra>` },
    ],
    layout: (colour) => ({
      barmode: 'overlay', hovermode: 'closest', xaxis: { type: 'date', anchor: 'y3' },
      yaxis: { domain: [0.62, 1], categoryorder: 'array', categoryarray: PUMPS }, yaxis2: { domain: [0.44, 0.58], title: { text: `${currency}/kWh` }, rangemode: 'tozero' },
      yaxis3: { domain: [0, 0.4], title: { text: `${t('level')} [%]` }, range: [0, 100] }, yaxis4: { overlaying: 'y3', side: 'right', title: { text: 'm³/h' }, rangemode: 'tozero', showgrid: false },
      shapes: [plan.level_min_pct, plan.level_max_pct].map((level) => ({ type: 'line', xref: 'paper', x0: 0, x1: 1, yref: 'y3', y0: level, y1: level, line: { color: colour('muted'), dash: 'dash', width: 1 } })),
    }),
  });
}

function figures(plan) {
  const card = (name, value, note) => h('div', { class: 'kpi' }, h('span', { class: 'kpi-name' }, name), h('strong', {}, value), h('span', { class: 'kpi-target' }, note ?? ''));
  const { baseline, currency } = plan;
  return h('div', { class: 'kpis' },
    card(t('optimization.cost'), figure(plan.cost, currency, 2), baseline ? t('optimization.against', { cost: figure(baseline.cost, currency, 2) }) : plan.no_savings_because),
    card(t('optimization.saving'), figure(baseline?.savings_pct, '%'), baseline ? t('optimization.saving_kwh', { pct: figure(baseline.savings_kwh_pct, '%') }) : ''),
    card(t('energy'), figure(plan.energy_kwh, 'kWh', 0), baseline ? t('optimization.against', { cost: figure(baseline.energy_kwh, 'kWh', 0) }) : ''),
    card(t('optimization.starts'), figure(plan.starts, '', 0)),
    card(t('optimization.gap'), figure(plan.at_most_better_pct, '%', 2), t('optimization.gap_note')),
    card(t('optimization.made'), dateTime(Date.parse(plan.made_at) / 1000), t(`optimization.status_${plan.status}`)));
}

function advice(plan) {
  if (!plan) return empty(t('overview.no_advice'));
  if (plan.status === 'refused') return empty(t('overview.refused', { why: plan.because }));
  return [
    h('p', { class: 'note' }, t('overview.advisory')),
    plan.broken.length > 0 && h('p', { class: 'abnormal', role: 'alert' }, plan.broken.join(' ')),
    figures(plan), schedule(plan),
    h('div', { class: 'columns' },
      panel(t('optimization.changes'), { class: 'inner' }, table(t('optimization.changes'), [
        [t('alerts.time'), (it) => dateTime(it.ts)], [t('optimization.start'), (it) => (it.start.length ? pumps(it.start) : '–')], [t('optimization.stop'), (it) => (it.stop.length ? pumps(it.stop) : '–')], [t('optimization.reason'), (it) => it.reason],
      ], plan.changes)),
      panel(t('optimization.what_ifs'), { class: 'inner' }, plan.what_ifs.length ? table(t('optimization.what_ifs'), [
        [t('optimization.if'), (it) => it.what], [t('optimization.more'), (it) => `${it.cost_more > 0 ? '+' : ''}${figure(it.cost_more, plan.currency, 2)}`, true],
        [t('energy'), (it) => `${it.energy_more_kwh > 0 ? '+' : ''}${figure(it.energy_more_kwh, 'kWh', 0)}`, true], [t('optimization.broken'), (it) => [it.broken].flat().join(' ') || '–'],
      ], plan.what_ifs) : empty(t('optimization.no_what_if')),
      plan.binding.length > 0 && [h('h3', {}, t('optimization.binding')), h('ul', {}, plan.binding.map((it) => h('li', {}, it)))],
      plan.out_of_service.length > 0 && h('p', {}, t('optimization.out', { list: plan.out_of_service.map((it) => `${it.pump} (${it.because})`).join(', ') })))),
  ];
}

function ledger(days, currency) {
  if (days.length === 0) return empty(t('optimization.no_ledger'));
  const ordered = [...days].reverse();
  const bars = (key, name, colour, pattern) => ({ type: 'bar', x: ordered.map((it) => it.date), y: ordered.map((it) => it[key]), name, marker: { color: colour, pattern: { shape: pattern } }, hovertemplate: `%{y:.1f} %<extra>${name}</extra>` });
  return [
    plot({
      label: t('optimization.ledger_label'), file: 'savings', height: 260,
      traces: (colour) => [bars('planned_savings_pct', t('optimization.promised'), colour('plot-2'), '/'), bars('savings_pct', t('optimization.realised'), colour('plot'), '')],
      layout: () => ({ barmode: 'group', xaxis: { type: 'category' }, yaxis: { title: { text: '%' } } }),
    }),
    table(t('optimization.ledger'), [
      [t('alerts.date'), (it) => it.date], [t('optimization.followed'), (it) => figure(it.followed_pct, '%', 0), true], [t('optimization.promised'), (it) => figure(it.planned_savings_pct, '%'), true],
      [t('optimization.metered'), (it) => figure(it.metered_cost, currency, 2), true], [t('optimization.baseline'), (it) => figure(it.baseline_cost, currency, 2), true],
      [t('optimization.realised'), (it) => figure(it.savings_pct, '%'), true], [t('optimization.left_out'), (it) => it.left_out ?? ''],
    ], days),
  ];
}

function history(plans) {
  if (plans.length === 0) return empty(t('overview.no_advice'));
  return table(t('optimization.history'), [
    [t('optimization.made'), (it) => dateTime(it.ts)], [t('alerts.state'), (it) => t(`optimization.status_${it.status}`)], [t('optimization.cost'), (it) => figure(it.planned_cost, '', 2), true],
    [t('optimization.saving'), (it) => figure(it.savings_pct, '%'), true], [t('optimization.gap'), (it) => figure(it.gap_pct, '%', 2), true], [t('optimization.starts'), (it) => it.starts ?? '–', true], [t('optimization.reason'), (it) => it.reason ?? ''],
  ], plans);
}

export async function show(main) {
  const now = h('div', {}, empty(t('loading')));
  const books = h('div', {});
  const before = h('div', {});
  fill(main, panel(t('optimization.title'), {}, now), panel(t('optimization.ledger'), {}, books), panel(t('optimization.history'), {}, before));
  let made;
  live.onPicture(async (picture) => {
    const at = picture.advice?.made_at ?? null;
    if (at === made) return;
    made = at;
    try {
      const [plan, days, plans] = await Promise.all([get('/schedule'), get('/savings'), get('/plans', { most: 30 })]);
      fill(now, advice(plan.schedule));
      fill(books, ledger(days.days, picture.tariff.currency));
      fill(before, history(plans.plans));
    } catch (error) {
      fill(now, h('p', { class: 'trouble', role: 'alert' }, error.message));
    }
  });
}
