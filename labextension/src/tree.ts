import { ISignal, Signal } from '@lumino/signaling';

/** What a person did with a tree; replaced as a whole on every change. */
export interface TreeState {
  /** By the item's id: whether a person opened (true) or closed (false) it. */
  readonly open: ReadonlyMap<string, boolean>;
  /** The id of the item that has the keyboard's focus, or had it last. */
  readonly active: string | null;
}

/** Which items of a section are open and which one is active. */
export class TreeModel {
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get state(): TreeState {
    return this._state;
  }

  setOpen(id: string, open: boolean): void {
    this._set({ ...this._state, open: new Map(this._state.open).set(id, open) });
  }

  activate(id: string): void {
    if (this._state.active !== id) {
      this._set({ ...this._state, active: id });
    }
  }

  private _set(state: TreeState): void {
    this._state = state;
    this._changed.emit();
  }

  private readonly _changed = new Signal<this, void>(this);
  private _state: TreeState = { open: new Map(), active: null };
}
