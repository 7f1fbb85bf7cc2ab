// ML insights: what was forecast and what came, how good the models are, and why these ones are in use.
import { h, t, fill, panel, empty, table, choice } from './dom.js';
import { figure, stamp, dateTime } from './format.js';
import * as live from './live.js';
import { get } from './api.js';
import { plot } from './plots.js';

const TARGETS = { hlt_pct: '%', flow_demand: 'm³/h' };
const AHEAD = [15, 60, 240, 720, 1440];
const DAY = 86400;

function fan(x, values, unit, colour) {
  const line = { x, mode: 'lines', showlegend: false, hoverinfo: 'skip', line: { width: 0 } };
  return [
    { ...line, y: values.map((it) => it.lower) }, { ...line, y: values.map((it) => it.upper), fill: 'tonexty', fillcolor: `${colour('plot-2')}44`, showlegend: true, name: t('insights.interval') },
    { x, y: values.map((it) => it.value), name: t('insights.forecast'), mode: 'lines', line: { color: colour('plot-2'), dash: 'dot', width: 2 }, hovertemplate: `%{y:.1f} ${unit}<extra>${t('insights.forecast')}</extra>` },
  ];
}

function past(list, unit, target, aheadMin) {
  const title = t('insights.past', { target: t(`target.${target}`) });
  if (list.length === 0) return panel(title, {}, empty(t('insights.no_past', { min: aheadMin })));
  const x = list.map((it) => stamp(it.ts));
  const errors = list.filter((it) => it.actual !== null).map((it) => it.value - it.actual);
  const rmse = errors.length ? Math.sqrt(errors.reduce((sum, it) => sum + it * it, 0) / errors.length) : null;
  const inside = list.filter((it) => it.actual !== null && it.lower !== null);
  const covered = inside.length ? (inside.filter((it) => it.actual >= it.lower && it.actual <= it.upper).length / inside.length) * 100 : null;
  return panel(title, {}, plot({
    label: t('insights.past_label', { target: t(`target.${target}`), min: aheadMin, rmse: figure(rmse, unit, 2) }), file: `forecast-${target}`, height: 320,
    traces: (colour) => [...fan(x, list, unit, colour), { x, y: list.map((it) => it.actual), name: t('insights.actual'), mode: 'lines', line: { color: colour('plot'), width: 2 }, hovertemplate: `%{y:.1f} ${unit}<extra>${t('insights.actual')}</extra>` }],
    layout: () => ({ yaxis: { title: { text: unit } }, xaxis: { type: 'date' } }),
  }), h('p', { class: 'note' }, t('insights.past_note', { rmse: figure(rmse, unit, 2), covered: figure(covered, '%', 0), n: errors.length })));
}

function ahead(forecasts, target, unit) {
  return panel(t('insights.ahead', { target: t(`target.${target}`) }), {}, ['60min', '24h'].map((horizon) => {
    const of = forecasts.find((it) => it.target === target && it.horizon === horizon);
    if (!of?.value) return empty(t('insights.no_forecast', { horizon: t(`insights.horizon_${horizon}`), why: of?.because ?? '' }));
    const steps = of.value.map((value, at) => ({ value, lower: of.lower?.[at], upper: of.upper?.[at], ts: of.first_ts + at * of.slot_min * 60 }));
    return [
      plot({
        label: t('insights.ahead_label', { horizon: t(`insights.horizon_${horizon}`) }), file: `ahead-${target}-${horizon}`, height: 230,
        traces: (colour) => fan(steps.map((it) => stamp(it.ts)), steps, unit, colour), layout: () => ({ yaxis: { title: { text: unit } }, xaxis: { type: 'date' } }),
      }),
      h('p', { class: 'note' }, `${t(`insights.horizon_${horizon}`)}: ${of.fallback ? t('insights.fallback') : of.model}. ${of.because ?? ''} ${of.health ?? ''}`),
    ];
  }));
}

function errors(performance, target, unit) {
  const days = performance.filter((it) => it.target === target && it.period === 'day');
  if (days.length === 0) return panel(t('insights.errors'), {}, empty(t('insights.no_errors')));
  const whole = days.filter((it) => it.ahead_min === 0);
  const models = [...new Set(whole.map((it) => it.model))];
  const dashes = ['solid', 'dot', 'dash', 'dashdot'];
  const newest = whole.at(-1).date;
  const byAhead = days.filter((it) => it.date === newest && it.ahead_min > 0);
  return panel(t('insights.errors'), {}, h('div', { class: 'columns' },
    plot({
      label: t('insights.by_day_label'), file: 'error-by-day', height: 280,
      traces: (colour) => models.flatMap((model, at) => {
        const of = whole.filter((it) => it.model === model);
        const x = of.map((it) => it.date);
        return [
          { x, y: of.map((it) => it.rmse), name: model, mode: 'lines+markers', line: { color: colour('plot'), dash: dashes[at % 4] }, hovertemplate: `%{y:.2f} ${unit}<extra>${model}</extra>` },
          { x, y: of.map((it) => it.rmse_naive), name: `${t('insights.naive')} (${model.includes('60min') ? '60 min' : '24 h'})`, mode: 'lines', line: { color: colour('muted'), dash: dashes[at % 4], width: 1 }, hovertemplate: `%{y:.2f} ${unit}<extra>${t('insights.naive')}</extra>` },
        ];
      }),
      layout: () => ({ xaxis: { type: 'category' }, yaxis: { title: { text: `RMSE [${unit}]` }, rangemode: 'tozero' } }),
    }),
    plot({
      label: t('insights.by_ahead_label', { date: newest }), file: 'error-by-horizon', height: 280,
      traces: (colour) => models.map((model, at) => {
        const of = byAhead.filter((it) => it.model === model);
        return { x: of.map((it) => it.ahead_min), y: of.map((it) => it.rmse), name: model, mode: 'lines+markers', line: { color: colour('plot'), dash: dashes[at % 4] }, hovertemplate: `%{y:.2f} ${unit}<extra>%{x} min</extra>` };
      }),
      layout: () => ({ xaxis: { title: { text: t('insights.minutes_ahead') } }, yaxis: { title: { text: `RMSE [${unit}]` }, rangemode: 'tozero' } }),
    })));
}

function drift(performance, target) {
  const days = performance.filter((it) => it.target === target && it.period !== 'validation' && it.ahead_min === 0 && it.psi !== null);
  if (days.length === 0) return panel(t('insights.drift'), {}, empty(t('insights.no_drift')));
  return panel(t('insights.drift'), {}, plot({
    label: t('insights.drift_label'), file: 'drift', height: 260,
    traces: (colour) => [
      { x: days.map((it) => it.date), y: days.map((it) => it.psi), text: days.map((it) => it.psi_feature), name: 'PSI', mode: 'lines+markers', line: { color: colour('plot') }, hovertemplate: '%{y:.2f} – %{text}<extra>PSI</extra>' },
      { x: days.map((it) => it.date), y: days.map((it) => it.error_ratio), name: t('insights.ratio'), yaxis: 'y2', mode: 'lines+markers', line: { color: colour('plot-2'), dash: 'dot' }, hovertemplate: `%{y:.2f}<extra>${t('insights.ratio')}</extra>` },
    ],
    layout: () => ({ xaxis: { type: 'category' }, yaxis: { title: { text: 'PSI' }, rangemode: 'tozero' }, yaxis2: { title: { text: t('insights.ratio') }, overlaying: 'y', side: 'right', rangemode: 'tozero', showgrid: false } }),
  }), h('p', { class: 'note' }, t('insights.drift_note')));
}

function importance(places, target) {
  const shown = places.filter((it) => it.place.startsWith(target) && it.importance.length);
  if (shown.length === 0) return panel(t('insights.importance'), {}, empty(t('insights.no_importance')));
  return panel(t('insights.importance'), {}, h('div', { class: 'columns' }, shown.map((place) => {
    const bars = [...place.importance].reverse();
    return plot({
      label: t('insights.importance_label', { place: place.place, first: place.importance[0][0] }), file: `importance-${place.place}`, height: 320,
      traces: (colour) => [{ type: 'bar', orientation: 'h', x: bars.map(([, share]) => share * 100), y: bars.map(([name]) => name), marker: { color: colour('plot') }, hovertemplate: '%{x:.1f} %<extra>%{y}</extra>' }],
      layout: () => ({ showlegend: false, hovermode: 'closest', xaxis: { title: { text: `${place.place} [%]` } } }),
    });
  })));
}

function models(places) {
  if (places.length === 0) return panel(t('insights.models'), {}, empty(t('insights.no_model')));
  const decisions = places.flatMap((it) => it.decisions).sort((a, b) => (a.at < b.at ? 1 : -1));
  return panel(t('insights.models'), {},
    table(t('insights.in_use'), [[t('insights.place'), (it) => it.place], [t('insights.model'), (it) => it.in_use ?? t('insights.none')], [t('insights.trouble'), (it) => it.trouble ?? '–']], places),
    table(t('insights.history'), [[t('alerts.time'), (it) => dateTime(Date.parse(it.at) / 1000)], [t('insights.place'), (it) => it.place], [t('insights.model'), (it) => it.model], [t('insights.decision'), (it) => it.decision.replaceAll('_', ' ')], [t('insights.by'), (it) => it.by], [t('insights.why'), (it) => it.why]], decisions));
}

export async function show(main) {
  const query = new URLSearchParams(location.search);
  const target = query.get('target') in TARGETS ? query.get('target') : 'hlt_pct';
  const aheadMin = Number(query.get('ahead')) || 60;
  const days = Number(query.get('days')) || 2;
  const go = (changes) => {
    for (const [key, value] of Object.entries(changes)) query.set(key, value);
    location.search = query;
  };
  const body = h('div', { class: 'stack' }, empty(t('loading')));
  fill(main, h('div', { class: 'controls' },
    choice(t('insights.target'), 'target', Object.keys(TARGETS).map((key) => [key, t(`target.${key}`)]), target, (to) => go({ target: to })),
    choice(t('insights.ahead_choice'), 'ahead', AHEAD.map((min) => [String(min), min < 120 ? t('unit.min', { n: min }) : t('unit.h', { n: min / 60 })]), String(aheadMin), (to) => go({ ahead: to })),
    choice(t('insights.days'), 'days', [1, 2, 7, 14, 28].map((n) => [String(n), String(n)]), String(days), (to) => go({ days: to }))), body);
  let begun = false;
  live.onPicture(async (picture) => {
    if (begun) return;
    begun = true;
    const until = (picture.row?.ts ?? Math.floor(live.now())) + 60;
    try {
      const unit = TARGETS[target];
      const [before, newest, performance, known] = await Promise.all([
        get('/forecasts/past', { from: until - days * DAY, until, target, ahead_min: aheadMin }), get('/forecasts'),
        get('/models/performance', { from: until - 60 * DAY, until }), get('/models'),
      ]);
      fill(body, past(before.forecasts, unit, target, aheadMin), ahead(newest.forecasts, target, unit),
        errors(performance.performance, target, unit), h('div', { class: 'columns' }, drift(performance.performance, target), importance(known.places, target)), models(known.places));
    } catch (error) {
      fill(body, h('p', { class: 'trouble', role: 'alert' }, error.message));
    }
  });
}
