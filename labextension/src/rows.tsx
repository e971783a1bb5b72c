import { caretDownIcon, caretRightIcon } from '@jupyterlab/ui-components';
import * as React from 'react';
import { MarkIcon, useModel } from './components';
import type { Mark } from './icons';
import type { TreeModel } from './tree';

interface Place {
  model: TreeModel;
  level: number;
  /** The item that the Tab key reaches when none was active yet. */
  first: string | null;
}

const PlaceContext = React.createContext<Place | null>(null);

function items(tree: Element | null): HTMLElement[] {
  return Array.from(tree?.querySelectorAll<HTMLElement>('[role="treeitem"]') ?? []);
}

/** Move the focus the way trees do (WAI-ARIA tree pattern); answers whether the key was one. */
function move(item: HTMLElement, key: string): boolean {
  const all = items(item.closest('[role="tree"]'));
  const here = all.indexOf(item);
  const parent = item.parentElement?.closest<HTMLElement>('[role="treeitem"]');
  const target: Record<string, HTMLElement | null | undefined> = {
    ArrowDown: all[here + 1],
    ArrowUp: all[here - 1],
    Home: all[0],
    End: all.at(-1),
    ArrowLeft: parent,
    ArrowRight: item.querySelector<HTMLElement>('[role="treeitem"]')
  };
  target[key]?.focus();
  return key in target;
}

/** Rows that can be opened, walked through with the arrow keys. */
export function Tree(props: {
  label: string;
  model: TreeModel;
  first: string | null;
  children: React.ReactNode;
}): React.ReactElement {
  const { model, first } = props;
  const place = React.useMemo(() => ({ model, level: 1, first }), [model, first]);
  return (
    <PlaceContext.Provider value={place}>
      <ul role="tree" className="mlops-Tree" aria-label={props.label}>
        {props.children}
      </ul>
    </PlaceContext.Provider>
  );
}

export interface RowProps {
  /** Unique in its tree. */
  id: string;
  mark: Mark;
  /** What the mark says, in words. */
  status: string;
  name: string;
  /** All the row says, for those who listen to it. Default: name and status. */
  label?: string;
  tags?: React.ReactNode;
  /** The second line. */
  detail?: React.ReactNode;
  /** What counts most, at the right; its meaning stands below it. */
  figure?: React.ReactNode;
  caption?: React.ReactNode;
  tooltip?: string;
  actions?: React.ReactNode;
  /** What opening the row shows: other rows, properties. */
  children?: React.ReactNode;
  /** Whether the row is open as long as nobody opened or closed it. */
  open?: boolean;
}

export function Row(props: RowProps): React.ReactElement {
  const place = React.useContext(PlaceContext);
  if (!place) {
    throw new Error('A Row belongs into a Tree.');
  }
  const { model, level, first } = place;
  const state = useModel(model);
  const inner = React.useMemo(() => ({ model, level: level + 1, first }), [model, level, first]);
  const expandable = React.Children.toArray(props.children).length > 0;
  const open = expandable && (state.open.get(props.id) ?? props.open ?? false);
  const active = (state.active ?? first) === props.id;
  const toggle = (): void => {
    if (expandable) {
      model.setOpen(props.id, !open);
    }
  };
  const onKeyDown = (event: React.KeyboardEvent<HTMLElement>): void => {
    if (event.target !== event.currentTarget) {
      return;
    }
    if (event.key === 'Enter' || event.key === ' ') {
      toggle();
    } else if (
      (event.key === 'ArrowRight' && expandable && !open) ||
      (event.key === 'ArrowLeft' && open)
    ) {
      toggle();
    } else if (!move(event.currentTarget, event.key)) {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  };
  const Twisty = open ? caretDownIcon : caretRightIcon;
  return (
    <li
      role="treeitem"
      className="mlops-Item"
      aria-label={props.label ?? `${props.name}, ${props.status}`}
      aria-level={level}
      aria-expanded={expandable ? open : undefined}
      tabIndex={active ? 0 : -1}
      onKeyDown={onKeyDown}
      onFocus={event => {
        if (event.target === event.currentTarget) {
          model.activate(props.id);
        }
      }}
    >
      <div
        className="mlops-Row"
        data-expandable={expandable}
        data-lines={props.detail === undefined && props.caption === undefined ? 1 : 2}
        style={{ '--mlops-level': level - 1 } as React.CSSProperties}
        title={props.tooltip}
        onClick={event => {
          event.currentTarget.parentElement?.focus({ preventScroll: true });
          toggle();
        }}
      >
        <span className="mlops-Row-twisty" aria-hidden="true">
          {expandable && <Twisty.react tag={null} />}
        </span>
        <MarkIcon mark={props.mark} label={props.status} />
        <span className="mlops-Row-text">
          <span className="mlops-Row-name">
            <span className="mlops-Row-label">{props.name}</span>
            {props.tags}
          </span>
          {props.detail !== undefined && <span className="mlops-Row-detail">{props.detail}</span>}
        </span>
        {props.figure !== undefined && (
          <span className="mlops-Row-facts">
            <span className="mlops-Row-figure">{props.figure}</span>
            {props.caption !== undefined && (
              <span className="mlops-Row-caption">{props.caption}</span>
            )}
          </span>
        )}
        {props.actions !== undefined && <span className="mlops-Row-actions">{props.actions}</span>}
      </div>
      {open && (
        <PlaceContext.Provider value={inner}>
          <ul role="group" className="mlops-Group">
            {props.children}
          </ul>
        </PlaceContext.Provider>
      )}
    </li>
  );
}

/** What is no row itself, inside an open row. */
export function RowContent(props: { children: React.ReactNode }): React.ReactElement {
  const level = React.useContext(PlaceContext)?.level ?? 1;
  return (
    <li
      role="none"
      className="mlops-RowContent"
      style={{ '--mlops-level': level - 1 } as React.CSSProperties}
    >
      {props.children}
    </li>
  );
}
