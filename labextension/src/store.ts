import type { IDisposable } from '@lumino/disposable';
import { DisposableDelegate } from '@lumino/disposable';
import { ISignal, Signal } from '@lumino/signaling';

/** How long several changes in a row are gathered before one request, in milliseconds. */
const GATHER = 150;

/** What a store knows; replaced as a whole on every change. */
export interface State<T> {
  /** The last good answer, or null before the first. */
  readonly value: T | null;
  /** Why the last request failed, or null if it did not. */
  readonly error: Error | null;
  /** Whether a request is under way. */
  readonly loading: boolean;
}

/** The part of a store that does not depend on what it holds. */
export interface IStore {
  /** Emitted after each change of the state. */
  readonly changed: ISignal<unknown, void>;
  /** Ask the server now; resolves when the answer (or the error) is in the state. */
  refresh(): Promise<void>;
  /** Keep the state up to date until disposed. */
  watch(): IDisposable;
}

/**
 * One kind of thing as the server last told it.
 *
 * Nothing is asked before somebody watches. While watched, `invalidate()` leads to one request soon;
 * while not, the state only becomes stale and is asked for again when the next watcher comes.
 */
export class Store<T> implements IStore {
  constructor(private readonly fetch: () => Promise<T>) {}

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get state(): State<T> {
    return this._state;
  }

  refresh(): Promise<void> {
    this._stale = true;
    this._running ??= this._run();
    return this._running;
  }

  invalidate(): void {
    this._stale = true;
    if (this._watchers > 0) {
      this._timer ??= setTimeout(() => {
        this._timer = null;
        void this.refresh();
      }, GATHER);
    }
  }

  watch(): IDisposable {
    this._watchers += 1;
    if (this._stale) {
      void this.refresh();
    }
    return new DisposableDelegate(() => {
      this._watchers -= 1;
    });
  }

  /** Requests until nothing changed during the last one. */
  private async _run(): Promise<void> {
    while (this._stale) {
      this._stale = false;
      this._set({ ...this._state, loading: true });
      try {
        this._set({ value: await this.fetch(), error: null, loading: false });
      } catch (reason) {
        const error = reason instanceof Error ? reason : new Error(String(reason));
        this._set({ ...this._state, error, loading: false });
      }
    }
    this._running = null;
  }

  private _set(state: State<T>): void {
    this._state = state;
    this._changed.emit();
  }

  private readonly _changed = new Signal<this, void>(this);
  private _state: State<T> = { value: null, error: null, loading: false };
  private _stale = true;
  private _watchers = 0;
  private _running: Promise<void> | null = null;
  private _timer: ReturnType<typeof setTimeout> | null = null;
}
