import type { LabIcon } from '@jupyterlab/ui-components';
import { Token } from '@lumino/coreutils';
import type { IDisposable } from '@lumino/disposable';
import type { ReactElement } from 'react';
import type { Client } from './client';
import type { IStore } from './store';

/** The client of the server's REST routes. */
export type IMLOpsClient = Client;

export const IMLOpsClient = new Token<IMLOpsClient>(
  'mlops-jupyter:IMLOpsClient',
  'The client of the MLOps server extension, with live stores.'
);

/** The sidebar that sections are added to. */
export interface IMLOpsPanel {
  /** Add a section; it goes away when the answer is disposed. */
  add(section: IMLOpsPanel.ISection): IDisposable;
  /** Show the sidebar with that section open. */
  reveal(section: string): void;
}

export namespace IMLOpsPanel {
  /** A short count in the section's title. */
  export interface IBadge {
    text: string;
    /** What the text means, for those who do not see it in its place. */
    label: string;
    tone?: 'alert';
  }

  /** A button in the section's title. */
  export interface IAction {
    label: string;
    icon: LabIcon;
    run(): void;
  }

  /** One section of the sidebar. */
  export interface ISection {
    /** Unique, e.g. `runs`. */
    id: string;
    /** Translated title. */
    title: string;
    /** Sections with lower ranks come first. */
    rank: number;
    /** What the section shows: asked for again by its Refresh button. */
    stores: readonly IStore[];
    /** The count to show now, if any. */
    badge(): IBadge | null;
    /** What the section's body is. */
    render(): ReactElement;
    actions?: readonly IAction[];
  }
}

export const IMLOpsPanel = new Token<IMLOpsPanel>(
  'mlops-jupyter:IMLOpsPanel',
  'The MLOps sidebar, to which sections can be added.'
);
