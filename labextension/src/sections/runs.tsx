import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';
import { Ago, Body, Facts, Properties, useLanguage } from '../components';
import { RunNode, basename, between, duration, figure, forest, keyMetric, moment } from '../format';
import type { Mark } from '../icons';
import type { Run, RunStatus } from '../models';
import { Row, RowContent, Tree } from '../rows';
import type { Store } from '../store';
import { TreeModel } from '../tree';
import { countOf, sectionPlugin } from './section';

const MARKS: Record<RunStatus, Mark> = {
  RUNNING: 'running',
  FINISHED: 'succeeded',
  FAILED: 'failed',
  KILLED: 'stopped'
};

function words(trans: TranslationBundle): Record<RunStatus, string> {
  return {
    RUNNING: trans.__('Running'),
    FINISHED: trans.__('Finished'),
    FAILED: trans.__('Failed'),
    KILLED: trans.__('Killed')
  };
}

/** The node's best metric: its own, else of the runs below it. */
function telling(node: RunNode): [string, number] | null {
  const own = keyMetric(node.run.metrics);
  return (
    own ??
    keyMetric(Object.assign({}, ...node.children.map(child => child.run.metrics)) as Run['metrics'])
  );
}

function RunRow({ node, root }: { node: RunNode; root: boolean }): React.ReactElement {
  const { trans, locale } = useLanguage();
  const { run, children } = node;
  const status = words(trans)[run.status];
  const metric = telling(node);
  const seconds = between(run.started, run.ended);
  const sorted = (values: Record<string, string | number | null>): [string, React.ReactNode][] =>
    Object.entries(values)
      .sort(([a], [b]) => a.localeCompare(b))
      .map(([name, value]) => [name, typeof value === 'string' ? value : figure(value, locale)]);
  const parameters = sorted(run.parameters);
  const metrics = sorted(run.metrics);
  const spoken = metric ? `${metric[0]} ${figure(metric[1], locale)}` : '';
  const about = [
    run.name,
    `${status}, ${moment(run.started, locale)}`,
    run.notebook,
    trans.__('Run %1', run.run_id)
  ];
  return (
    <Row
      id={run.run_id}
      mark={MARKS[run.status]}
      status={status}
      name={run.name}
      label={[run.name, status, spoken].filter(Boolean).join(', ')}
      tooltip={about.filter(Boolean).join('\n')}
      detail={
        <Facts>
          <Ago time={run.started} />
          {seconds !== null && duration(seconds)}
          {run.kind === 'pipeline' && trans.__('pipeline')}
          {root && run.kind !== 'pipeline' && run.notebook !== null && basename(run.notebook)}
        </Facts>
      }
      figure={metric && figure(metric[1], locale)}
      caption={metric?.[0]}
    >
      {children.map(child => (
        <RunRow key={child.run.run_id} node={child} root={false} />
      ))}
      {parameters.length + metrics.length > 0 && (
        <RowContent>
          <Properties title={trans.__('Metrics')} entries={metrics} />
          <Properties title={trans.__('Parameters')} entries={parameters} />
        </RowContent>
      )}
    </Row>
  );
}

function Runs(props: { store: Store<Run[]>; tree: TreeModel }): React.ReactElement {
  const { trans } = useLanguage();
  return (
    <Body
      store={props.store}
      empty={
        <>
          {trans.__('No runs yet. Add')} <code>%load_ext mlops_jupyter</code>{' '}
          {trans.__('to a notebook and fit a model.')}
        </>
      }
    >
      {runs => {
        const roots = forest(runs);
        return (
          <Tree label={trans.__('Runs')} model={props.tree} first={roots[0]?.run.run_id ?? null}>
            {roots.map(node => (
              <RunRow key={node.run.run_id} node={node} root={true} />
            ))}
          </Tree>
        );
      }}
    </Body>
  );
}

export const runsSection = sectionPlugin(
  'runs',
  'The runs in the MLOps sidebar.',
  (client, trans) => {
    const tree = new TreeModel();
    return {
      id: 'runs',
      title: trans.__('Runs'),
      rank: 100,
      stores: [client.runs],
      badge: () =>
        countOf(
          client.runs,
          (text, count) => trans._n('%2 run', '%2 runs', count, text),
          run => run.parent_id === null
        ),
      render: () => <Runs store={client.runs} tree={tree} />
    };
  }
);
