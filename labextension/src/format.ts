import type { Run } from './models';

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** `2 min. ago`: an ISO 8601 time as seen from `now` (milliseconds). */
export function ago(time: string, now: number, locale = 'en'): string {
  const seconds = (Date.parse(time) - now) / 1000;
  if (Number.isNaN(seconds)) {
    return '';
  }
  const format = new Intl.RelativeTimeFormat(locale, { numeric: 'auto', style: 'short' });
  const size = Math.abs(seconds);
  if (size < 45) {
    return format.format(0, 'second');
  }
  if (size < 45 * MINUTE) {
    return format.format(Math.round(seconds / MINUTE), 'minute');
  }
  if (size < 22 * HOUR) {
    return format.format(Math.round(seconds / HOUR), 'hour');
  }
  if (size < 26 * DAY) {
    return format.format(Math.round(seconds / DAY), 'day');
  }
  return new Intl.DateTimeFormat(locale, { dateStyle: 'medium' }).format(Date.parse(time));
}

/** A time as people write it, to the second. */
export function moment(time: string, locale = 'en'): string {
  const value = Date.parse(time);
  const options = { dateStyle: 'medium', timeStyle: 'medium' } as const;
  return Number.isNaN(value) ? '' : new Intl.DateTimeFormat(locale, options).format(value);
}

/** `0.4 s`, `12 s`, `2 min 5 s`, `1 h 3 min`. */
export function duration(seconds: number): string {
  if (seconds < 0.095) {
    return `${Math.round(seconds * 1000)} ms`;
  }
  if (seconds < 9.95) {
    return `${seconds.toFixed(1)} s`;
  }
  const whole = Math.round(seconds);
  if (whole < MINUTE) {
    return `${whole} s`;
  }
  if (whole < HOUR) {
    return `${Math.floor(whole / MINUTE)} min ${whole % MINUTE} s`;
  }
  return `${Math.floor(whole / HOUR)} h ${Math.floor((whole % HOUR) / MINUTE)} min`;
}

/** Seconds between two ISO 8601 times; null while `ended` is not known. */
export function between(started: string, ended: string | null): number | null {
  const seconds = ended === null ? NaN : (Date.parse(ended) - Date.parse(started)) / 1000;
  return Number.isNaN(seconds) ? null : Math.max(0, seconds);
}

/** At most four significant digits. What is no number on the wire (NaN) becomes a dash. */
export function figure(value: number | null | undefined, locale = 'en'): string {
  if (value === null || value === undefined) {
    return '–';
  }
  const size = Math.abs(value);
  const notation = size !== 0 && (size >= 1e6 || size < 1e-4) ? 'scientific' : 'standard';
  return new Intl.NumberFormat(locale, { maximumSignificantDigits: 4, notation }).format(value);
}

/** Metrics by how much they say about a model, best first. */
const TELLING = [
  'roc_auc',
  'f1',
  'accuracy',
  'r2',
  'balanced_accuracy',
  'average_precision',
  'precision',
  'recall',
  'score',
  'rmse',
  'root_mean_squared_error',
  'mean_squared_error',
  'mae',
  'mean_absolute_error',
  'log_loss',
  'loss'
];

function rank(name: string): number {
  const lower = name.toLowerCase();
  const telling = TELLING.findIndex(word => lower.includes(word));
  const place = telling < 0 ? TELLING.length : telling;
  return lower.startsWith('train') ? place + 100 : place;
}

/** Says how long something took, not how good it is. */
const TIMING = /(^|_)(seconds|time|duration|ms)$/i;

/** The metric to show first: on data that was held out rather than on training data. */
export function keyMetric(metrics: Record<string, number | null>): [string, number] | null {
  const known = Object.entries(metrics).filter((entry): entry is [string, number] => {
    return entry[1] !== null && !TIMING.test(entry[0]);
  });
  known.sort(([a], [b]) => rank(a) - rank(b) || a.localeCompare(b));
  return known[0] ?? null;
}

/** The file's name of a path. */
export function basename(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** A run with the runs that belong to it. */
export interface RunNode {
  run: Run;
  children: RunNode[];
}

/** Runs as a forest: children under their parent, in the order they started; a child whose
 * parent is not in the list stands on its own. The order of the roots is kept. */
export function forest(runs: Run[]): RunNode[] {
  const nodes = new Map(runs.map(run => [run.run_id, { run, children: [] as RunNode[] }]));
  const roots: RunNode[] = [];
  for (const node of nodes.values()) {
    const parent = node.run.parent_id === null ? undefined : nodes.get(node.run.parent_id);
    (parent && parent !== node ? parent.children : roots).push(node);
  }
  for (const node of nodes.values()) {
    node.children.sort((a, b) => a.run.started.localeCompare(b.run.started));
  }
  return roots;
}
