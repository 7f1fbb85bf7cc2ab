// The figures that a station is judged by, with their targets.
import { h, t } from './dom.js';
import { figure } from './format.js';

/** Name, unit, digits, target, and whether a value meets it; `null` for what has no target. */
export const KPIS = [
  ['energy_per_m3', 'kWh/m³', 3, null, null],
  ['tank_stability_pct', '%', 1, '> 95 %', (value) => value > 95],
  ['health_score', '', 0, '> 70', (value) => value > 70],
  ['efficiency_slope_7d', 'm³/kWh/d', 4, '> 0', (value) => value > 0],
  ['pump_switching_per_day', '', 0, null, null],
  ['alerts_per_day', '', 0, null, null],
  ['forecast_rmse', '%', 2, null, null],
  ['savings_kwh_pct', '%', 1, '> 10 %', (value) => value > 10],
];

/** One figure with its target. */
export function tile([name, unit, digits, target, meets], value, note) {
  const known = value !== null && value !== undefined;
  const missed = known && meets && !meets(value);
  return h('div', { class: `kpi ${missed ? 'missed' : ''}` },
    h('span', { class: 'kpi-name' }, t(`kpi.${name}`)),
    h('strong', {}, figure(value, unit, digits)),
    h('span', { class: 'kpi-target' }, target ? `${t('kpi.target')} ${target}` : '', missed ? ` – ${t('kpi.missed')}` : '', note ? ` ${note}` : ''));
}

/** The day's figures of the picture of this moment. */
export function kpis(picture) {
  const { today, yesterday, savings, forecast } = picture.figures;
  return KPIS.map((kpi) => {
    const [name] = kpi;
    if (name === 'forecast_rmse') return tile(kpi, forecast?.rmse, forecast ? t('kpi.naive', { rmse: figure(forecast.rmse_naive, '%', 2) }) : t('kpi.later'));
    if (name === 'savings_kwh_pct') return tile(kpi, savings?.savings_kwh_pct, savings ? savings.date : t('kpi.later'));
    // A slope or a health score of a day that has just begun says little.
    const whole = ['efficiency_slope_7d', 'health_score'].includes(name);
    const value = whole ? yesterday?.[name] ?? today?.[name] : today?.[name];
    const before = yesterday?.[name];
    const compare = !whole && before !== null && before !== undefined;
    return tile(kpi, value, compare ? t('kpi.yesterday', { value: figure(before, '', kpi[2]) }) : '');
  });
}
