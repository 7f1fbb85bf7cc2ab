// Alerts: what is open, what was, each with everything about it, and what the alarms ask of people.
import { h, t, fill, panel, empty, table, choice } from './dom.js';
import { figure, dateTime, span, stamp, utc } from './format.js';
import * as live from './live.js';
import { get, post, who } from './api.js';
import { SEVERITIES, named } from './severity.js';
import { plot, band } from './plots.js';

const GROUPS = ['A', 'B', 'C', 'D', 'E', 'F', 'G', 'H'];
const STATES = ['open', 'unacknowledged', 'acknowledged', 'held', 'resolved', 'all'];
/** Minutes shown before and after an alert. */
const AROUND_MIN = 45;

const filter = () => {
  const query = Object.fromEntries(new URLSearchParams(location.search));
  return { state: 'open', ...query };
};

function setFilter(changes) {
  const query = new URLSearchParams(location.search);
  for (const [key, value] of Object.entries(changes)) {
    if (value) query.set(key, value);
    else query.delete(key);
  }
  history.replaceState(null, '', `?${query}${location.hash}`);
}

function filters(reload) {
  const now = filter();
  const pick = (key, label, options) => choice(label, `filter-${key}`, [['', t('alerts.any')], ...options], now[key] ?? '', (value) => { setFilter({ [key]: value }); reload(); });
  return h('div', { class: 'controls' },
    choice(t('alerts.state'), 'filter-state', STATES.map((key) => [key, t(`alerts.state_${key}`)]), now.state, (state) => { setFilter({ state }); reload(); }),
    pick('severity', t('alerts.severity'), SEVERITIES.map((key) => [key, t(`severity.${key}`)])),
    pick('group', t('alerts.group'), GROUPS.map((key) => [key, `${key} – ${t(`group.${key}`)}`])),
    pick('pump', t('pump_name'), ['P1', 'P2', 'P3', 'P4', 'P5', 'P6'].map((key) => [key, key])),
    ['from', 'until'].map((key) => h('label', { class: 'field', for: `filter-${key}` }, h('span', {}, t(`alerts.${key}`)),
      h('input', { id: `filter-${key}`, type: 'date', value: now[key] ?? '', onchange: (event) => { setFilter({ [key]: event.target.value }); reload(); } }))),
    h('button', { type: 'button', onclick: () => { history.replaceState(null, '', location.pathname); reload(true); } }, t('alerts.clear')));
}

function asked(before) {
  const { state, severity, group, pump, rule, from, until } = filter();
  return {
    state: state === 'all' ? '' : state, severity, group, pump, rule, before, limit: 100,
    from: from && utc(`${from}T00:00`), until: until && utc(`${until}T00:00`) + 86400,
  };
}

function list(alerts, open) {
  return table(t('alerts.list'), [
    [t('alerts.severity'), (it) => named(it.severity)],
    [t('alerts.time'), (it) => dateTime(it.ts)],
    [t('alerts.alarm'), (it) => h('button', { type: 'button', class: 'link', id: `open-${it.id}`, onclick: () => open(it.event_id) }, it.alarm)],
    [t('alerts.message'), (it) => it.message],
    [t('alerts.state'), (it) => [h('span', { class: `state ${it.state}` }, it.state === 'active' && it.severity !== 'INFO' ? t('state.unacknowledged') : t(`state.${it.state}`)), it.acknowledged_by ? h('span', { class: 'note' }, ` ${it.acknowledged_by}`) : '']],
    [t('alerts.lasted'), (it) => (it.duration_min === null ? t('alerts.still', { span: span((live.now() - it.ts) / 60) }) : span(it.duration_min))],
  ], alerts, (it) => ({ class: `row ${it.state}` }));
}

async function around(alert) {
  const until = alert.duration_min === null ? Math.min(live.now(), alert.ts + AROUND_MIN * 60) : alert.ts + Math.min(alert.duration_min, 240) * 60 + AROUND_MIN * 60;
  const from = alert.ts - AROUND_MIN * 60;
  const own = alert.pump ? [`${alert.pump.toLowerCase()}_kwh`] : [];
  const series = await get('/series', { from, until: Math.floor(until) + 60, columns: ['hlt_pct', 'fit101_per_hr', 'total_kw', ...own].join(','), points: 500 });
  if (series.ts.length === 0) return empty(t('alerts.no_minutes'));
  const x = series.ts.map(stamp);
  const rows = [['hlt_pct', t('level'), '%', 'y'], ['fit101_per_hr', t('flow'), 'm³/h', 'y2'], [own[0] ?? 'total_kw', own[0] ? `${t('power')} ${alert.pump}` : t('power'), 'kW', 'y3']];
  const end = alert.duration_min === null ? null : stamp(alert.ts + alert.duration_min * 60);
  return plot({
    label: t('alerts.around_label'), file: alert.event_id, height: 380,
    traces: (colour) => rows.flatMap(([column, name, unit, yaxis]) => band(x, series[column], { name, unit, yaxis, colour: colour('plot'), withBand: false })),
    layout: (colour) => ({
      grid: { rows: 3, columns: 1, subplots: [['xy'], ['xy2'], ['xy3']] }, showlegend: false, xaxis: { type: 'date' },
      ...Object.fromEntries(rows.map(([, name, unit, yaxis]) => [yaxis.replace('y', 'yaxis'), { title: { text: `${name} [${unit}]` }, rangemode: 'tozero' }])),
      shapes: [
        { type: 'line', x0: stamp(alert.ts), x1: stamp(alert.ts), y0: 0, y1: 1, yref: 'paper', line: { color: colour(alert.severity.toLowerCase()), width: 2 } },
        end && { type: 'line', x0: end, x1: end, y0: 0, y1: 1, yref: 'paper', line: { color: colour('text'), width: 1, dash: 'dot' } },
      ].filter(Boolean),
      annotations: [{ x: stamp(alert.ts), y: 0, yref: 'paper', text: t('alerts.raised'), showarrow: false, xanchor: 'left', yanchor: 'bottom' }],
    }),
  });
}

/** What an operator can do to an alert, with a name where nobody is logged in and a reason where one is needed. */
async function actions(alert, done) {
  const { user, role, shelve_max_h: longest } = await who();
  if (role !== 'operator') return h('p', { class: 'note' }, t('alerts.viewer'));
  const trouble = h('p', { class: 'trouble', role: 'alert', hidden: true });
  let remembered = '';
  try { remembered = localStorage.getItem('operator') ?? ''; } catch { /* asked for each time, then */ }
  const name = h('input', { id: 'act-user', name: 'user', value: remembered, autocomplete: 'name', maxlength: '64' });
  const comment = h('input', { id: 'act-comment', name: 'comment', maxlength: '500' });
  const spans = [...[1, 2, 4, 8, 12, 24].filter((n) => n < longest), longest];
  const usual = spans.findLast((n) => n <= 8) ?? longest;
  const hours = h('select', { id: 'act-hours' }, spans.map((n) => h('option', { value: n, selected: n === usual }, t('unit.h', { n }))));
  const act = (verb, withUntil) => async () => {
    trouble.hidden = true;
    if (!user) try { localStorage.setItem('operator', name.value); } catch { /* no storage */ }
    const until = withUntil ? Math.floor(live.now()) + Number(hours.value) * 3600 : undefined;
    try {
      await post(`/alerts/${encodeURIComponent(alert.event_id)}/${verb}`, { comment: comment.value || undefined, until, user: user ? undefined : name.value });
      await done(t(`alerts.done_${verb}`, { alarm: alert.alarm }));
    } catch (error) {
      trouble.textContent = error.message;
      trouble.hidden = false;
    }
  };
  const button = (verb, withUntil, primary) => h('button', { type: 'button', id: `act-${verb}`, class: primary ? 'primary' : '', onclick: act(verb, withUntil) }, t(`alerts.do_${verb}`));
  const held = { shelved: 'unshelve', out_of_service: 'in_service' }[alert.state];
  return h('div', { class: 'actions' },
    !user && h('label', { class: 'field', for: 'act-user' }, h('span', {}, t('alerts.your_name')), name),
    h('label', { class: 'field grow', for: 'act-comment' }, h('span', {}, t('alerts.comment')), comment),
    h('label', { class: 'field', for: 'act-hours' }, h('span', {}, t('alerts.for')), hours),
    !alert.acknowledged_by && alert.severity !== 'INFO' && button('ack', false, true),
    held ? button(held) : [button('shelve', true), button('out_of_service')],
    trouble);
}

async function detail(eventId, reload) {
  const alert = await get(`/alerts/${encodeURIComponent(eventId)}`);
  const done = async (text) => { await reload(); await openDetail(eventId, reload, text); };
  const say = (name, text) => [h('h3', {}, name), h('p', {}, text)];
  return [
    h('h2', { id: 'detail-title' }, named(alert.severity), ` ${alert.alarm} – ${alert.name}`),
    h('p', { class: 'message' }, alert.message),
    h('p', { class: 'note' }, [
      t('alerts.since', { at: dateTime(alert.ts) }), alert.resolved_at ? t('alerts.resolved', { at: alert.resolved_at.slice(0, 16), span: span(alert.duration_min) }) : t('alerts.open'),
      alert.value !== null && t('alerts.value', { value: figure(alert.value, '', 2) }),
      alert.held_by && t('alerts.held', { state: t(`state.${alert.state}`), by: alert.held_by, why: alert.held_because, until: alert.held_until_ts ? dateTime(alert.held_until_ts) : t('alerts.recalled') }),
    ].filter(Boolean).join(' · ')),
    alert.logging_stop && h('p', { class: 'note', id: 'logging-stop' }, t(alert.logging_stop.began_ts ? 'alerts.stopped_until' : 'alerts.stopped',
      { from: dateTime(alert.logging_stop.stopped_ts), until: dateTime(alert.logging_stop.began_ts ?? 0) })),
    await actions(alert, done),
    say(t('alerts.condition'), alert.condition),
    h('div', { class: 'columns' },
      h('div', {}, say(t('alerts.action'), alert.action), alert.respond_within_min && h('p', { class: 'note' }, t('alerts.within', { span: span(alert.respond_within_min) }))),
      h('div', {}, say(t('alerts.cause'), alert.cause)), h('div', {}, say(t('alerts.consequence'), alert.consequence))),
    h('h3', {}, t('alerts.around')), await around(alert),
    h('h3', {}, t('alerts.journal')),
    table(t('alerts.journal'), [
      [t('alerts.time'), (it) => dateTime(it.ts)], [t('alerts.what'), (it) => t(`action.${it.action}`)],
      [t('alerts.who'), (it) => it.operator ?? '–'], [t('alerts.comment'), (it) => [it.comment ?? '', it.backfilled ? h('span', { class: 'note' }, ` ${t('alerts.backfilled')}`) : '']],
    ], alert.journal),
  ];
}

let dialog = null;
async function openDetail(eventId, reload, said) {
  dialog ??= document.body.appendChild(h('dialog', { class: 'detail', 'aria-labelledby': 'detail-title', onclose: () => history.replaceState(null, '', location.pathname + location.search) }));
  const close = h('button', { type: 'button', class: 'close', onclick: () => dialog.close() }, t('close'));
  if (!dialog.open) dialog.showModal();
  history.replaceState(null, '', `${location.pathname}${location.search}#${eventId}`);
  try {
    const body = await detail(eventId, reload);
    fill(dialog, close, said ? h('p', { class: 'done', role: 'status' }, said) : null, body);
  } catch (error) {
    fill(dialog, close, h('h2', { id: 'detail-title' }, eventId), h('p', { class: 'trouble', role: 'alert' }, error.message));
  }
}

function load(days) {
  const newest = days.at(-1);
  if (!newest) return empty(t('alerts.no_load'));
  return [
    h('div', { class: 'kpis' }, newest.targets.map((it) => h('div', { class: `kpi ${it.value !== null && it.value > it.at_most ? 'missed' : ''}` },
      h('span', { class: 'kpi-name' }, it.name), h('strong', {}, figure(it.value, it.unit, 1)),
      h('span', { class: 'kpi-target' }, `${t('kpi.target')} ≤ ${it.at_most} ${it.unit}${it.value !== null && it.value > it.at_most ? ` – ${t('kpi.missed')}` : ''}`)))),
    table(t('alerts.load_label'), [
      [t('alerts.date'), (it) => it.date], [t('alerts.raised_count'), (it) => it.raised, true], [t('alerts.peak'), (it) => it.raised_peak_10_min, true],
      [t('alerts.flood'), (it) => figure(it.flood_pct, '%'), true], [t('alerts.chattering'), (it) => it.chattering.join(', ') || '–'], [t('alerts.stale'), (it) => it.stale.join(', ') || '–'],
      [t('alerts.top'), (it) => it.top.slice(0, 3).map((top) => `${top.alarm} (${top.raised})`).join(', ') || '–'],
    ], [...days].reverse()),
  ];
}

export async function show(main) {
  const head = h('div', {});
  const body = h('div', {}, empty(t('loading')));
  const more = h('p', { class: 'tools' });
  const burden = h('div', {});
  fill(main, panel(t('alerts.title'), {}, head, body, more), panel(t('alerts.load'), {}, burden));
  let shown = [];
  const reload = async (anew = true) => {
    if (anew) fill(head, filters(reload));
    const answer = await get('/alerts', asked());
    shown = answer.alerts;
    draw(answer.more);
  };
  const draw = (hasMore) => {
    fill(body, shown.length ? list(shown, (eventId) => openDetail(eventId, reload)) : empty(t('alerts.nothing')));
    fill(more, h('span', { class: 'note', role: 'status' }, t('alerts.count', { n: shown.length })), hasMore && h('button', { type: 'button', id: 'more', onclick: async () => {
      const answer = await get('/alerts', asked(shown.at(-1).id));
      shown.push(...answer.alerts);
      draw(answer.more);
    } }, t('alerts.more')));
  };
  const renewLoad = async () => {
    const until = Math.floor(live.now()) + 60;
    fill(burden, load((await get('/alarms/load', { from: until - 7 * 86400, until })).days));
  };
  let journal = null;
  let begun = false;
  live.onPicture(async (picture) => {
    const { journal_id: id } = picture.alerts;
    if (begun && id === journal) return;
    journal = id;
    const first = !begun;
    begun = true;
    try {
      // A list that somebody has paged through stays as it is.
      if (first || shown.length <= 100) await reload(first);
      if (first && location.hash.length > 1) await openDetail(decodeURIComponent(location.hash.slice(1)), reload);
      await renewLoad();
    } catch (error) {
      fill(body, h('p', { class: 'trouble', role: 'alert' }, error.message));
    }
  });
}
