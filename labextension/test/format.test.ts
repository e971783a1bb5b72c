import { describe, expect, it } from 'vitest';
import { ago, between, duration, figure, forest, keyMetric } from '../src/format';
import type { Run } from '../src/models';

const NOW = Date.parse('2026-03-01T12:00:00Z');

function run(id: string, parent: string | null, started = '2026-03-01T10:00:00Z'): Run {
  return {
    run_id: id,
    name: id,
    experiment: 'e',
    status: 'FINISHED',
    started,
    ended: null,
    parameters: {},
    metrics: {},
    notebook: null,
    kind: 'run',
    parent_id: parent
  };
}

describe('ago', () => {
  it.each([
    ['2026-03-01T11:59:50Z', 'now'],
    ['2026-03-01T11:58:00Z', '2 min. ago'],
    ['2026-03-01T09:00:00Z', '3 hr. ago'],
    ['2026-02-28T11:00:00Z', 'yesterday'],
    ['2025-12-24T12:00:00Z', 'Dec 24, 2025'],
    ['', '']
  ])('%s is %s', (time, text) => {
    expect(ago(time, NOW)).toBe(text);
  });

  it('speaks the language of the interface', () => {
    expect(ago('2026-02-28T11:00:00Z', NOW, 'de')).toBe('gestern');
  });
});

describe('duration', () => {
  it.each([
    [0.0004, '0 ms'],
    [0.01, '10 ms'],
    [0.0949, '95 ms'],
    [0.0951, '0.1 s'],
    [9.94, '9.9 s'],
    [9.96, '10 s'],
    [59.6, '1 min 0 s'],
    [125, '2 min 5 s'],
    [3780, '1 h 3 min']
  ])('%s is %s', (seconds, text) => {
    expect(duration(seconds)).toBe(text);
  });

  it('is not known while a run runs, and never negative', () => {
    expect(between('2026-03-01T10:00:00Z', null)).toBeNull();
    expect(between('2026-03-01T10:00:00Z', '2026-03-01T09:59:59Z')).toBe(0);
    expect(between('2026-03-01T10:00:00Z', '2026-03-01T10:00:01.500Z')).toBe(1.5);
  });
});

describe('figure', () => {
  it.each([
    [0.95614035, '0.9561'],
    [1, '1'],
    [51.2345, '51.23'],
    [0.000012341, '1.234E-5'],
    [12345678, '1.235E7'],
    [0, '0'],
    [null, '–']
  ])('%s is %s', (value, text) => {
    expect(figure(value)).toBe(text);
  });
});

describe('keyMetric', () => {
  it('prefers what was measured on held-out data', () => {
    expect(keyMetric({ training_accuracy_score: 1, accuracy: 0.9 })).toEqual(['accuracy', 0.9]);
  });
  it('falls back on training metrics, then on any', () => {
    expect(keyMetric({ training_log_loss: 0.1, training_f1: 0.8 })).toEqual(['training_f1', 0.8]);
    expect(keyMetric({ b: 2, a: 1 })).toEqual(['a', 1]);
  });
  it('leaves out what is not a number and what only tells the time', () => {
    expect(keyMetric({ seconds: 3, fit_time: 2, r2: 0.5 })).toEqual(['r2', 0.5]);
    expect(keyMetric({ seconds: 3 })).toBeNull();
    expect(keyMetric({ accuracy: null, loss: 2 })).toEqual(['loss', 2]);
    expect(keyMetric({})).toBeNull();
  });
});

describe('forest', () => {
  it('puts children under their parent by start time and keeps the order of roots', () => {
    const roots = forest([
      run('late', 'p', '2026-03-01T10:02:00Z'),
      run('p', null),
      run('early', 'p', '2026-03-01T10:01:00Z'),
      run('q', null)
    ]);
    expect(roots.map(node => node.run.run_id)).toEqual(['p', 'q']);
    expect(roots[0]?.children.map(node => node.run.run_id)).toEqual(['early', 'late']);
  });
  it('keeps a child whose parent is not in the list', () => {
    expect(forest([run('a', 'gone')]).map(node => node.run.run_id)).toEqual(['a']);
    expect(forest([run('self', 'self')])).toHaveLength(1);
  });
});
