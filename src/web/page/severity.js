// Severities: a shape and a letter each, so that colour is never alone.
import { h, s, t } from './dom.js';

const SHAPES = {
  CRITICAL: ['M1 1h18v18H1z', 'C'],
  HIGH: ['M10 1l9.5 18H.5z', 'H'],
  WARNING: ['M10 .5L19.5 10 10 19.5.5 10z', 'W'],
  INFO: ['M10 1a9 9 0 1 0 0 18 9 9 0 1 0 0-18z', 'i'],
};
export const SEVERITIES = Object.keys(SHAPES);

/** The mark of a severity, for beside its name or count. */
export function mark(severity) {
  const [path, letter] = SHAPES[severity] ?? SHAPES.INFO;
  return s('svg', { class: `mark ${severity}`, viewBox: '0 0 20 20', 'aria-hidden': 'true' },
    s('path', { d: path }), s('text', { x: 10, y: severity === 'HIGH' ? 16 : 14.5, 'text-anchor': 'middle' }, letter));
}

/** Mark and name. */
export const named = (severity) => h('span', { class: 'severity' }, mark(severity), ' ', t(`severity.${severity}`));
