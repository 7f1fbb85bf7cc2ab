// Overview: the station at a glance.
import { h, s, t, fill, panel, empty } from './dom.js';
import { figure, time, span, pumps, dateTime } from './format.js';
import * as live from './live.js';
import { mark } from './severity.js';
import { kpis } from './kpis.js';
import { prepareReport } from './report.js';

const TANK = { x: 610, y: 30, w: 230, h: 300 };

/** The tank with its level and limits, the pumps before it, the flow between. */
function station(picture) {
  const { row, limits } = picture;
  const pct = row?.hlt_pct;
  const y = (value) => TANK.y + TANK.h - (Math.min(100, Math.max(0, value)) / 100) * TANK.h;
  const limit = (value, name, abnormal) => s('g', { class: `limit ${abnormal ? 'abnormal' : ''}` },
    s('path', { d: `M${TANK.x - 12} ${y(value)}h${TANK.w + 12}` }),
    s('text', { x: TANK.x - 16, y: y(value) + 5, 'text-anchor': 'end' }, `${name} ${figure(value, '%', 0)}`));
  const low = pct !== null && pct < limits.level_critical_low_pct;
  const high = pct !== null && pct > limits.level_high_pct;
  const rising = row?.hlt_diff > 0 ? '▲' : row?.hlt_diff < 0 ? '▼' : '';
  const spoken = t('overview.spoken', {
    level: figure(pct, '%'), flow: figure(row?.fit101_per_hr, 'm³/h'), power: figure(row?.total_kw, 'kW'), n: row?.pumps_on_count ?? '–',
  });
  return s('svg', { class: 'station', viewBox: '0 0 860 350', role: 'img', 'aria-label': spoken },
    picture.pumps.map((pump, at) => {
      const [cx, cy] = [60 + (at % 3) * 120, 95 + Math.floor(at / 3) * 150];
      const on = pump.on === 1;
      const state = pump.on === null ? 'unknown' : on ? 'on' : 'off';
      return s('g', { class: `pump ${state}` },
        s('path', { class: `pipe ${on ? 'flowing' : ''}`, d: `M${cx} ${cy - 34}V${cy - 60}H430V${180}` }),
        s('circle', { cx, cy, r: 34 }),
        s('path', { class: 'impeller', d: `M${cx - 15} ${cy + 19}V${cy - 19}L${cx + 22} ${cy}Z` }),
        s('text', { x: cx, y: cy + 58, 'text-anchor': 'middle', class: 'name' }, `${pump.pump} ${t(`pump.${state}`)}`));
    }),
    s('path', { class: `pipe ${row?.fit101_per_hr > 0.1 ? 'flowing' : ''}`, d: `M430 180H${TANK.x - 110}V15H${TANK.x + 60}V${TANK.y + 12}` }),
    s('text', { class: 'value', x: 437, y: 222 }, figure(row?.fit101_per_hr, 'm³/h')),
    s('text', { class: 'label', x: 437, y: 243 }, t('flow')),
    s('rect', { class: `water ${low || high ? 'abnormal' : ''}`, x: TANK.x, y: y(pct ?? 0), width: TANK.w, height: TANK.y + TANK.h - y(pct ?? 0) }),
    s('path', { class: 'tank', d: `M${TANK.x} ${TANK.y}V${TANK.y + TANK.h}H${TANK.x + TANK.w}V${TANK.y}` }),
    limit(limits.level_high_pct, t('overview.high'), high),
    limit(limits.level_critical_low_pct, t('overview.low'), low),
    s('text', { class: 'value big', x: TANK.x + TANK.w / 2, y: TANK.y + TANK.h / 2, 'text-anchor': 'middle' }, figure(pct, '%'), rising && s('tspan', { dx: 8 }, rising)),
    s('text', { class: 'label', x: TANK.x + TANK.w / 2, y: TANK.y + TANK.h / 2 + 28, 'text-anchor': 'middle' },
      pct === null || pct === undefined ? t('unknown') : figure((pct / 100) * limits.volume_m3, 'm³', 0)));
}

function pumpCard(pump, picture) {
  const open = picture.alerts.urgent.filter((alert) => alert.pump === pump.pump);
  const out = picture.advice?.out_of_service?.find((it) => it.pump === pump.pump);
  const state = pump.on === null ? 'unknown' : pump.on === 1 ? 'on' : 'off';
  const load = pump.kw === null ? null : (pump.kw / pump.rated_kw) * 100;
  const condition = pump.condition;
  const since = pump.running?.start_ts;
  return h('li', { class: `pump-card ${state}` },
    h('div', { class: 'pump-head' }, h('strong', {}, pump.pump), ' ', h('span', { class: `state ${state}` }, t(`pump.${state}`)),
      open.map((alert) => h('a', { class: 'pump-alert', href: `/alerts#${alert.event_id}`, title: alert.message }, mark(alert.severity), ` ${alert.code}`))),
    h('div', { class: 'bar', role: 'img', 'aria-label': t('overview.load', { load: figure(load, '%', 0) }) },
      h('span', { style: { width: `${Math.min(100, Math.max(0, load ?? 0))}%` } })),
    h('dl', {},
      h('dt', {}, t('power')), h('dd', {}, figure(pump.kw, 'kW')),
      h('dt', {}, state === 'on' ? t('overview.running') : t('overview.hours')),
      h('dd', {}, state === 'on' && since ? span((live.now() - since) / 60) : figure(pump.hours, 'h', 0)),
      h('dt', {}, t('overview.condition')),
      h('dd', { class: condition && condition.health_score < 70 ? 'abnormal' : '' },
        condition ? `${figure(condition.health_score, '', 0)} / 100` : '–')),
    out && h('p', { class: 'note' }, t('overview.out', { why: out.because })));
}

function alerts(picture) {
  const { urgent, open } = picture.alerts;
  const total = open.CRITICAL + open.HIGH + open.WARNING + open.INFO;
  return [
    urgent.length === 0 ? empty(t('overview.no_alert')) : h('ul', { class: 'alert-list' }, urgent.map((alert) =>
      h('li', {}, h('a', { href: `/alerts#${alert.event_id}`, id: `alert-${alert.id}` }, mark(alert.severity),
        h('span', { class: 'what' }, h('strong', {}, `${alert.alarm} `), h('span', { class: 'hidden' }, t(`severity.${alert.severity}`)), ` ${alert.message}`),
        h('span', { class: 'when' }, time(alert.ts), alert.state === 'active' && alert.severity !== 'INFO' ? h('span', { class: 'unseen' }, ` ${t('state.unacknowledged')}`) : ''))))),
    total > urgent.length || open.held > 0
      ? h('p', { class: 'note' }, h('a', { href: '/alerts' }, t('overview.more', { n: total, held: open.held }))) : null,
  ];
}

function advice(picture) {
  const { advice: told, tariff, forecast, row } = picture;
  const price = t('overview.price', { price: figure(tariff.price, `${tariff.currency}/kWh`, 3) });
  const window = h('p', { class: 'tariff' }, h('strong', {}, tariff.is_peak ? t('overview.peak') : t('overview.off_peak')), ` ${price}`,
    tariff.until_ts ? ` ${t('overview.until', { at: time(tariff.until_ts), next: figure(tariff.next_price, '', 3) })}` : '');
  const level = forecast?.level_in_an_hour;
  const expected = level && h('p', { class: 'note' }, t('overview.expected', {
    level: figure(level.value, '%', 0), lowest: figure(forecast.level_lowest?.value, '%', 0), at: forecast.level_lowest ? time(forecast.level_lowest.ts) : '–',
  }));
  if (!told) return [window, expected, empty(t('overview.no_advice'))];
  if (told.status === 'refused') return [window, expected, empty(t('overview.refused', { why: told.because }))];
  const running = picture.pumps.filter((pump) => pump.on === 1).map((pump) => pump.pump);
  const differs = row && JSON.stringify(running) !== JSON.stringify(told.now);
  const { next } = told;
  const change = next && [next.start.length && t('overview.start', { pumps: pumps(next.start) }), next.stop.length && t('overview.stop', { pumps: pumps(next.stop) })]
    .filter(Boolean).join(', ');
  return [
    window,
    h('p', { class: 'advice-now' }, h('span', {}, t('overview.advised')), h('strong', {}, ` ${pumps(told.now)}`), differs ? h('span', { class: 'note' }, ` (${t('overview.running_now', { pumps: pumps(running) })})`) : ''),
    next && h('p', {}, h('strong', {}, `${time(next.ts)}: `), change, h('span', { class: 'note' }, ` ${next.reason}`)),
    told.status === 'limits' && h('p', { class: 'abnormal' }, told.broken.join(' ')),
    expected,
    told.baseline && h('p', { class: 'note' }, t('overview.saves', { pct: figure(told.baseline.savings_pct, '%'), cost: figure(told.cost, told.currency, 0) })),
    h('p', { class: 'note' }, t('overview.advisory')),
  ];
}

export function show(main) {
  const picture = h('div', { class: 'station-box' });
  const cards = h('ul', { class: 'pump-cards', 'aria-label': t('pumps') });
  const open = h('div', {});
  const planned = h('div', {});
  const figures = h('div', { class: 'kpis' });
  fill(main, h('div', { class: 'overview' },
    h('div', { class: 'plant' }, panel(t('overview.station'), {}, picture), panel(t('pumps'), { class: 'a-pumps' }, cards)),
    h('div', { class: 'side' }, panel(t('overview.alerts'), {}, open), panel(t('overview.advice'), {}, planned)),
    panel(t('overview.kpis'), { class: 'a-kpis' }, figures,
      h('p', { class: 'tools' }, h('button', { type: 'button', onclick: () => report.print() }, t('report.print'))))));
  const report = prepareReport(main);
  live.onPicture((now) => {
    if (!now.row) {
      fill(picture, empty(t('overview.nothing')));
      fill(cards, []);
    } else {
      fill(picture, station(now));
      fill(cards, now.pumps.map((pump) => pumpCard(pump, now)));
      fill(figures, kpis(now));
    }
    fill(open, alerts(now));
    fill(planned, advice(now));
  });
}
