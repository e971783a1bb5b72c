import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { share } from '../src/share';
import { Store } from '../src/store';

describe('Store', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  /** A server whose answers the test gives one by one. */
  function server() {
    const waiting: { answer: (value: number) => void; fail: (error: Error) => void }[] = [];
    const store = new Store(
      () => new Promise<number>((answer, fail) => waiting.push({ answer, fail }))
    );
    return { store, waiting };
  }

  it('asks nothing before somebody watches', () => {
    const { store, waiting } = server();
    store.invalidate();
    vi.runAllTimers();
    expect(waiting).toHaveLength(0);
    store.watch();
    expect(waiting).toHaveLength(1);
  });

  it('turns a burst of changes into one request', async () => {
    const { store, waiting } = server();
    store.watch();
    waiting[0]?.answer(1);
    await vi.runAllTimersAsync();
    expect(store.state).toEqual({ value: 1, error: null, loading: false });
    for (let i = 0; i < 100; i++) {
      store.invalidate();
    }
    await vi.runAllTimersAsync();
    expect(waiting).toHaveLength(2);
  });

  it('does not lose a change that comes while an answer is under way', async () => {
    const { store, waiting } = server();
    store.watch();
    store.invalidate();
    await vi.runAllTimersAsync();
    expect(waiting).toHaveLength(1);
    waiting[0]?.answer(1);
    await vi.runAllTimersAsync();
    expect(waiting).toHaveLength(2);
    waiting[1]?.answer(2);
    await vi.runAllTimersAsync();
    expect(store.state.value).toBe(2);
    expect(waiting).toHaveLength(2);
  });

  it('leaves the server alone while nobody watches, and catches up afterwards', async () => {
    const { store, waiting } = server();
    const watching = store.watch();
    waiting[0]?.answer(1);
    await vi.runAllTimersAsync();
    watching.dispose();
    store.invalidate();
    await vi.runAllTimersAsync();
    expect(waiting).toHaveLength(1);
    store.watch();
    expect(waiting).toHaveLength(2);
  });

  it('keeps the last answer beside an error, and forgets the error', async () => {
    const { store, waiting } = server();
    store.watch();
    waiting[0]?.answer(1);
    await vi.runAllTimersAsync();
    void store.refresh();
    waiting[1]?.fail(new Error('gone'));
    await vi.runAllTimersAsync();
    expect(store.state).toMatchObject({ value: 1, error: { message: 'gone' }, loading: false });
    void store.refresh();
    waiting[2]?.answer(3);
    await vi.runAllTimersAsync();
    expect(store.state).toEqual({ value: 3, error: null, loading: false });
  });
});

describe('share', () => {
  it('gives all what they want while it lasts', () => {
    expect(share([100, 0, 50], 500)).toEqual([100, 0, 50]);
  });
  it('cuts only those who want more than an even share', () => {
    expect(share([400, 50, 300], 450)).toEqual([200, 50, 200]);
    expect(share([], 10)).toEqual([]);
  });
});
