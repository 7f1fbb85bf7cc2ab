// Analytics: any period, and beside it another one.
import { h, t, fill, panel, empty, table, choice } from './dom.js';
import { figure, stamp, utc, day, span } from './format.js';
import * as live from './live.js';
import { get } from './api.js';
import { plot, band, gantt, csvButton, PUMPS } from './plots.js';
import { KPIS, tile } from './kpis.js';

const HOUR = 3600;
const DAY = 24 * HOUR;
const PRESETS = { '24h': DAY, '7d': 7 * DAY, '30d': 30 * DAY, '365d': 365 * DAY };
/** A Gantt of more days than this shows nothing. */
const GANTT_DAYS_MAX = 62;

const localDate = (ts) => stamp(ts).slice(0, 16).replace(' ', 'T');

function chosen() {
  const query = new URLSearchParams(location.search);
  const last = live.newest()?.row?.ts ?? Math.floor(live.now());
  const until = query.get('until') ? utc(query.get('until')) : last + 60;
  const preset = query.get('period') ?? '7d';
  const from = query.get('from') ? utc(query.get('from')) : until - (PRESETS[preset] ?? PRESETS['7d']);
  return { from, until, preset: query.get('from') ? 'custom' : preset, compare: query.get('compare') ?? 'none' };
}

function other({ from, until, compare }) {
  if (compare === 'before') return { from: from - (until - from), until: from };
  if (compare === 'week') return { from: from - 7 * DAY, until: until - 7 * DAY };
  if (compare === 'year') return { from: from - 364 * DAY, until: until - 364 * DAY };
  return null;
}

function go(changes) {
  const query = new URLSearchParams(location.search);
  for (const [key, value] of Object.entries(changes)) {
    if (value) query.set(key, value);
    else query.delete(key);
  }
  history.replaceState(null, '', `?${query}`);
}

function controls(period, reload) {
  const set = (changes) => { go(changes); reload(); };
  return h('form', { class: 'controls', onsubmit: (event) => {
    event.preventDefault();
    const { from, until } = Object.fromEntries(new FormData(event.target));
    set({ from, until, period: null });
  } },
  h('div', { class: 'buttons', role: 'group', 'aria-label': t('analytics.period') }, Object.keys(PRESETS).map((key) =>
    h('button', { type: 'button', id: `period-${key}`, 'aria-pressed': String(period.preset === key), onclick: () => set({ period: key, from: null, until: null }) }, t(`analytics.${key}`)))),
  h('label', { class: 'field', for: 'from' }, h('span', {}, t('analytics.from')), h('input', { id: 'from', name: 'from', type: 'datetime-local', value: localDate(period.from), required: true })),
  h('label', { class: 'field', for: 'until' }, h('span', {}, t('analytics.until')), h('input', { id: 'until', name: 'until', type: 'datetime-local', value: localDate(period.until), required: true })),
  h('button', { type: 'submit' }, t('analytics.show')),
  choice(t('analytics.compare'), 'compare', ['none', 'before', 'week', 'year'].map((key) => [key, t(`analytics.with_${key}`)]), period.compare, (compare) => set({ compare })));
}

function values(series, before, shift) {
  const x = series.ts.map(stamp);
  const xBefore = before?.ts.map((ts) => stamp(ts + shift));
  const rows = [['hlt_pct', 'level', '%', 1, 'y'], ['fit101_per_hr', 'flow', 'm³/h', 1, 'y2'], ['total_kw', 'power', 'kW', 1, 'y3']];
  return panel(t('analytics.values'), {},
    plot({
      label: t('analytics.values_label'), file: 'values', height: 520,
      traces: (colour) => rows.flatMap(([column, name, unit, digits, yaxis]) => [
        ...band(x, series[column], { name: t(name), unit, digits, yaxis, colour: colour('plot') }),
        ...(before ? band(xBefore, before[column], { name: `${t(name)} – ${t('analytics.before')}`, unit, digits, yaxis, colour: colour('plot-2'), dash: 'dot', withBand: false }) : []),
      ]),
      layout: () => ({
        grid: { rows: 3, columns: 1, subplots: [['xy'], ['xy2'], ['xy3']], roworder: 'top to bottom' },
        yaxis: { title: { text: `${t('level')} [%]` }, rangemode: 'tozero' }, yaxis2: { title: { text: `${t('flow')} [m³/h]` }, rangemode: 'tozero' },
        yaxis3: { title: { text: `${t('power')} [kW]` }, rangemode: 'tozero' }, showlegend: Boolean(before), xaxis: { type: 'date' },
      }),
    }),
    h('p', { class: 'note' }, t('analytics.thinned', { step: span(series.step_s / 60) })),
    csvButton('values', { time: x, level_pct: series.hlt_pct.mean, flow_m3h: series.fit101_per_hr.mean, power_kw: series.total_kw.mean }));
}

function pumpRuns(sessions, { from, until }) {
  const bars = sessions.map((it) => {
    const [begin, end] = [Math.max(it.start_ts, from), Math.min(it.end_ts ?? until, until)];
    return { pump: it.pump, from: stamp(begin), ms: (end - begin) * 1000, text: `${it.pump}: ${stamp(it.start_ts).slice(5, 16)}, ${span(it.duration_min ?? (until - it.start_ts) / 60)}, ${figure(it.kwh_consumed, 'kWh')}, ${figure(it.m3_per_kwh, 'm³/kWh', 2)}`, short: it.is_short_cycle === 1 };
  });
  return panel(t('analytics.runs'), {}, plot({
    label: t('analytics.runs_label', { n: bars.length }), file: 'pumps', height: 260,
    traces: (colour) => [gantt(bars.filter((bar) => !bar.short), { name: t('analytics.run'), colour: colour('plot') }),
      gantt(bars.filter((bar) => bar.short), { name: t('analytics.short'), colour: colour('warning'), pattern: '/' })],
    layout: () => ({ barmode: 'overlay', hovermode: 'closest', xaxis: { type: 'date', range: [stamp(from), stamp(until)] }, yaxis: { categoryorder: 'array', categoryarray: PUMPS } }),
  }));
}

function daily(days, before) {
  const bars = (list, key, name, unit, colour, yaxis, pattern) => ({
    type: 'bar', x: days.map((it) => it.date), y: list.map((it) => it?.[key]), name, yaxis, marker: { color: colour, pattern: { shape: pattern } }, hovertemplate: `%{y:.0f} ${unit}<extra>${name}</extra>`,
  });
  return panel(t('analytics.daily'), {}, plot({
    label: t('analytics.daily_label'), file: 'days', height: 300,
    traces: (colour) => [
      bars(days, 'total_flow', t('volume'), 'm³', colour('plot'), 'y', ''),
      before && bars(before, 'total_flow', `${t('volume')} – ${t('analytics.before')}`, 'm³', colour('plot-2'), 'y', '/'),
      { x: days.map((it) => it.date), y: days.map((it) => it.total_kwh), name: t('energy'), yaxis: 'y2', mode: 'lines+markers', line: { color: colour('plot-3'), dash: 'dot' }, hovertemplate: `%{y:.0f} kWh<extra>${t('energy')}</extra>` },
    ].filter(Boolean),
    layout: () => ({ barmode: 'group', yaxis: { title: { text: 'm³' }, rangemode: 'tozero' }, yaxis2: { title: { text: 'kWh' }, overlaying: 'y', side: 'right', rangemode: 'tozero', showgrid: false }, xaxis: { type: 'category', tickangle: 0, nticks: 12 } }),
  }));
}

function hourly(hours) {
  const of = (weekend) => hours.filter((it) => it.is_weekend === weekend);
  const line = (list, key, name, unit, colour, yaxis, dash) => ({ x: list.map((it) => it.hour), y: list.map((it) => it[key]), name, yaxis, mode: 'lines+markers', line: { color: colour, dash }, hovertemplate: `%{y:.1f} ${unit}<extra>${name}</extra>` });
  return panel(t('analytics.hourly'), {}, plot({
    label: t('analytics.hourly_label'), file: 'hours', height: 300,
    traces: (colour) => [
      line(of(0), 'flow', `${t('flow')}, ${t('analytics.weekday')}`, 'm³/h', colour('plot'), 'y', 'solid'), line(of(1), 'flow', `${t('flow')}, ${t('analytics.weekend')}`, 'm³/h', colour('plot'), 'y', 'dot'),
      line(of(0), 'level', `${t('level')}, ${t('analytics.weekday')}`, '%', colour('plot-2'), 'y2', 'solid'), line(of(1), 'level', `${t('level')}, ${t('analytics.weekend')}`, '%', colour('plot-2'), 'y2', 'dot'),
    ],
    layout: () => ({ xaxis: { dtick: 2, title: { text: t('analytics.hour') } }, yaxis: { title: { text: 'm³/h' }, rangemode: 'tozero' }, yaxis2: { title: { text: '%' }, overlaying: 'y', side: 'right', range: [0, 100], showgrid: false } }),
  }));
}

function energyAndFlow(days) {
  const known = days.filter((it) => it.total_flow !== null && it.total_kwh !== null);
  return panel(t('analytics.scatter'), {}, plot({
    label: t('analytics.scatter_label'), file: 'energy-and-flow', height: 300,
    traces: (colour) => [{ x: known.map((it) => it.total_flow), y: known.map((it) => it.total_kwh), text: known.map((it) => `${it.date}: ${figure(it.energy_per_m3, 'kWh/m³', 3)}`), mode: 'markers', marker: { color: colour('plot'), size: 9, line: { color: colour('panel'), width: 1 } }, hovertemplate: '%{text}<br>%{x:.0f} m³, %{y:.0f} kWh<extra></extra>' }],
    layout: () => ({ hovermode: 'closest', showlegend: false, xaxis: { title: { text: t('analytics.volume_a_day') }, rangemode: 'tozero' }, yaxis: { title: { text: t('analytics.energy_a_day') }, rangemode: 'tozero' } }),
  }));
}

const COMPARED = [
  ['total_flow', 'm³', 0], ['total_kwh', 'kWh', 0], ['energy_per_m3', 'kWh/m³', 3], ['avg_flow', 'm³/h', 1], ['peak_flow', 'm³/h', 1], ['avg_level', '%', 1],
  ['min_level', '%', 1], ['max_level', '%', 1], ['tank_stability_pct', '%', 1], ['starts_per_day', '', 1], ['alerts_per_day', '', 1], ['critical_alerts', '', 0], ['health_score', '', 0],
];

function comparison(totals, before) {
  const change = (key) => {
    const [now, then] = [totals[key], before?.[key]];
    if (now === null || then === null || then === undefined || then === 0) return '–';
    const pct = (now / then - 1) * 100;
    return `${pct > 0 ? '+' : ''}${figure(pct, '%')}`;
  };
  const columns = [[t('analytics.figure'), ([key]) => t(`totals.${key}`)], [`${totals.first_date ?? ''} – ${totals.last_date ?? ''}`, ([key, unit, digits]) => figure(totals[key], unit, digits), true]];
  if (before) {
    columns.push([`${before.first_date ?? ''} – ${before.last_date ?? ''}`, ([key, unit, digits]) => figure(before[key], unit, digits), true], [t('analytics.change'), ([key]) => change(key), true]);
  }
  return panel(t('analytics.totals'), {}, table(t('analytics.totals_label'), columns, COMPARED));
}

function targets(totals, performance, savings, { from, until }) {
  const inside = savings.filter((it) => it.savings_kwh_pct !== null && it.date >= stamp(from).slice(0, 10) && it.date <= stamp(until).slice(0, 10));
  const mean = (list) => (list.length ? list.reduce((all, value) => all + value, 0) / list.length : null);
  const rmse = performance.filter((it) => it.target === 'hlt_pct' && it.period === 'day' && it.ahead_min === 0 && it.model.includes('60min')).map((it) => it.rmse);
  const of = { ...totals, pump_switching_per_day: totals.starts_per_day, forecast_rmse: mean(rmse), savings_kwh_pct: mean(inside.map((it) => it.savings_kwh_pct)) };
  return panel(t('analytics.kpis'), {}, h('div', { class: 'kpis' }, KPIS.map((kpi) => tile(kpi, of[kpi[0]]))));
}

export async function show(main) {
  const head = h('div', {});
  const body = h('div', { class: 'stack' }, empty(t('loading')));
  fill(main, head, body);
  let aborting = null;
  const reload = async () => {
    const period = chosen();
    fill(head, controls(period, reload));
    aborting?.abort();
    aborting = new AbortController();
    const { signal } = aborting;
    const { from, until } = period;
    const than = other(period);
    const ask = (path, of, more = {}) => (of ? get(path, { from: of.from, until: of.until, ...more }, signal) : null);
    const series = { columns: 'hlt_pct,fit101_per_hr,total_kw', points: 1000 };
    const short = until - from <= GANTT_DAYS_MAX * DAY;
    body.setAttribute('aria-busy', 'true');
    try {
      const [now, before, sessions, days, daysBefore, hours, totals, totalsBefore, performance, savings] = await Promise.all([
        ask('/series', period, series), ask('/series', than, series), short ? ask('/sessions', period) : null, ask('/days', period), ask('/days', than),
        ask('/hours', period), ask('/totals', period), ask('/totals', than), ask('/models/performance', period), get('/savings', { most: 400 }, signal),
      ]);
      if (now.ts.length === 0) {
        fill(body, empty(t('analytics.nothing', { from: day(from), until: day(until) })));
        return;
      }
      fill(body,
        targets(totals, performance.performance, savings.days, period),
        values(now, before, than ? from - than.from : 0),
        short ? pumpRuns(sessions.sessions, period) : panel(t('analytics.runs'), {}, empty(t('analytics.too_long', { n: GANTT_DAYS_MAX }))),
        h('div', { class: 'columns' }, daily(days.days, daysBefore?.days), hourly(hours.hours), energyAndFlow(days.days), comparison(totals, totalsBefore)));
    } catch (error) {
      if (error.name !== 'AbortError') fill(body, h('p', { class: 'trouble', role: 'alert' }, error.message));
    } finally {
      body.removeAttribute('aria-busy');
    }
  };
  let begun = false;
  live.onPicture(() => { if (!begun) { begun = true; reload(); } });
}
