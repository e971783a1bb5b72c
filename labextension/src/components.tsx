import { Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { LabIcon } from '@jupyterlab/ui-components';
import type { ISignal } from '@lumino/signaling';
import * as React from 'react';
import { MLOpsError, describe } from './errors';
import { ago, moment } from './format';
import { Mark, markIcon } from './icons';
import type { Store } from './store';

/** The words and the language of the interface. */
export interface Language {
  trans: TranslationBundle;
  locale: string;
}

export const LanguageContext = React.createContext<Language | null>(null);

export function useLanguage(): Language {
  const language = React.useContext(LanguageContext);
  if (!language) {
    throw new Error('LanguageContext is missing.');
  }
  return language;
}

/** The state of a model that replaces it on each change and says so with a signal. */
export function useModel<S>(model: { state: S; changed: ISignal<unknown, void> }): S {
  const subscribe = React.useCallback(
    (changed: () => void) => {
      model.changed.connect(changed);
      return () => void model.changed.disconnect(changed);
    },
    [model]
  );
  return React.useSyncExternalStore(subscribe, () => model.state);
}

/** Show why an action failed; the answer is null then. */
export async function attempt<T>(action: Promise<T>): Promise<T | null> {
  try {
    return await action;
  } catch (reason) {
    Notification.error(describe(reason), { autoClose: false });
    return null;
  }
}

export function MarkIcon(props: { mark: Mark; label: string }): React.ReactElement {
  const icon = markIcon(props.mark);
  return (
    <span className="mlops-Mark" role="img" aria-label={props.label} title={props.label}>
      <icon.react tag={null} />
    </span>
  );
}

/** A small rounded label. */
export function Pill(props: {
  children: React.ReactNode;
  tone?: 'brand' | 'warn' | 'error';
}): React.ReactElement {
  return (
    <span className="mlops-Pill" data-tone={props.tone ?? 'plain'}>
      {props.children}
    </span>
  );
}

/** `2 min. ago`, kept right while it is on screen; the exact time is its tooltip. */
export function Ago(props: { time: string }): React.ReactElement {
  const { locale } = useLanguage();
  const [now, setNow] = React.useState(Date.now);
  React.useEffect(() => {
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), 20_000);
    return () => clearInterval(timer);
  }, [props.time]);
  return (
    <time dateTime={props.time} title={moment(props.time, locale)}>
      {ago(props.time, now, locale)}
    </time>
  );
}

/** Short facts on one line, with a dot between. Empty ones are left out. */
export function Facts(props: { children: React.ReactNode }): React.ReactElement {
  const facts = React.Children.toArray(props.children);
  return (
    <>
      {facts.map((fact, index) => (
        <React.Fragment key={index}>
          {index > 0 && <span aria-hidden="true"> · </span>}
          {fact}
        </React.Fragment>
      ))}
    </>
  );
}

/** A button that is only an icon. */
export function IconButton(props: {
  label: string;
  icon: LabIcon;
  run: () => unknown;
}): React.ReactElement {
  return (
    <button
      type="button"
      className="mlops-IconButton"
      aria-label={props.label}
      title={props.label}
      onClick={event => {
        event.stopPropagation();
        props.run();
      }}
    >
      <props.icon.react tag={null} />
    </button>
  );
}

/** Names and values in two columns. */
export function Properties(props: {
  title: string;
  entries: [string, React.ReactNode][];
  /** Do not show the title. */
  bare?: boolean;
}): React.ReactElement | null {
  if (props.entries.length === 0) {
    return null;
  }
  return (
    <section className="mlops-Properties" aria-label={props.title}>
      {!props.bare && <h4>{props.title}</h4>}
      <dl>
        {props.entries.map(([name, value]) => (
          <div key={name}>
            <dt title={name}>{name}</dt>
            <dd title={typeof value === 'string' ? value : undefined}>{value}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

/** What a section shows of a store: loading, an error with Retry, what to do next, or the rows. */
export function Body<T>(props: {
  store: Store<T[]>;
  empty: React.ReactNode;
  children: (items: T[]) => React.ReactNode;
}): React.ReactElement {
  const { trans } = useLanguage();
  const { value, error, loading } = useModel(props.store);
  if (error) {
    const hint = error instanceof MLOpsError ? error.hint : '';
    return (
      <div className="mlops-Error" role="alert">
        <MarkIcon mark="failed" label={trans.__('Error')} />
        <span className="mlops-Error-text" title={describe(error)}>
          {error.message} {hint}
        </span>
        <button
          type="button"
          className="mlops-TextButton"
          disabled={loading}
          onClick={() => void props.store.refresh()}
        >
          {trans.__('Retry')}
        </button>
      </div>
    );
  }
  if (value === null) {
    return (
      <div className="mlops-Loading" role="status" aria-label={trans.__('Loading')}>
        <span />
        <span />
        <span />
      </div>
    );
  }
  if (value.length === 0) {
    return <p className="mlops-Empty">{props.empty}</p>;
  }
  return <>{props.children(value)}</>;
}
