// The shift report: what the last hours were like, on paper.
import { h, t, fill, table } from './dom.js';
import { figure, dateTime, span, time } from './format.js';
import * as live from './live.js';
import { get } from './api.js';
import { named } from './severity.js';

/** A shift, h. */
const SHIFT_H = 8;

async function load() {
  const until = Math.floor(live.now());
  const from = until - SHIFT_H * 3600;
  const [alerts, sessions, series] = await Promise.all([
    get('/alerts', { from, until, limit: 200 }), get('/sessions', { from, until }),
    get('/series', { from, until, columns: 'hlt_pct,fit101_per_hr,total_kw', points: 480 }),
  ]);
  return { from, until, alerts: alerts.alerts, sessions: sessions.sessions, series };
}

const sum = (list) => list.reduce((all, value) => all + (value ?? 0), 0);

function sheet({ from, until, alerts, sessions, series }, picture) {
  const hours = series.step_s / 3600;
  const level = series.hlt_pct;
  const known = (list) => list.filter((value) => value !== null);
  const runs = picture.pumps.map(({ pump }) => {
    const own = sessions.filter((it) => it.pump === pump);
    const minutes = sum(own.map((it) => (Math.min(it.end_ts ?? until, until) - Math.max(it.start_ts, from)) / 60));
    return { pump, minutes, starts: own.filter((it) => it.start_ts >= from).length };
  });
  return [
    h('h1', {}, `${t('report.title')} – ${picture.site.name}`),
    h('p', {}, `${dateTime(from)} – ${dateTime(until)} (${picture.site.zone})`),
    h('p', {}, t('report.station', {
      level: figure(picture.row?.hlt_pct, '%'), min: figure(Math.min(...known(level.min)), '%'), max: figure(Math.max(...known(level.max)), '%'),
      volume: figure(sum(series.fit101_per_hr.mean) * hours, 'm³', 0), energy: figure(sum(series.total_kw.mean) * hours, 'kWh', 0),
    })),
    table(t('report.pumps'), [[t('pump_name'), (it) => it.pump], [t('report.ran'), (it) => span(it.minutes), true], [t('report.starts'), (it) => it.starts, true]], runs),
    alerts.length === 0 ? h('p', {}, t('report.no_alert'))
      : table(t('report.alerts', { n: alerts.length }), [
        [t('alerts.time'), (it) => time(it.ts)], [t('alerts.severity'), (it) => named(it.severity)], [t('alerts.alarm'), (it) => it.alarm],
        [t('alerts.message'), (it) => it.message],
        [t('alerts.state'), (it) => [t(`state.${it.state}`), it.acknowledged_by ? ` (${it.acknowledged_by})` : '', it.duration_min !== null ? `, ${span(it.duration_min)}` : '']],
      ], alerts),
    h('p', {}, picture.advice?.now ? t('report.advice', { pumps: picture.advice.now.join(', ') || t('none') }) : t('overview.no_advice')),
    h('p', { class: 'signature' }, t('report.signature')),
  ];
}

/** Keeps a report ready beside a page; Ctrl-P prints it, too. */
export function prepareReport(main) {
  const paper = h('div', { class: 'report', 'aria-hidden': 'true' });
  main.after(paper);
  const renew = async () => {
    const picture = live.newest();
    if (picture?.row) fill(paper, sheet(await load(), picture));
  };
  const soon = () => renew().catch((error) => console.warn(error.message));
  setTimeout(soon, 3000);
  setInterval(soon, 300000);
  return { async print() { await renew(); window.print(); } };
}
