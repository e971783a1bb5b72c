import type { TranslationBundle } from '@jupyterlab/translation';
import { notebookIcon } from '@jupyterlab/ui-components';
import * as React from 'react';
import { Ago, Body, Facts, IconButton, Properties, useLanguage } from '../components';
import { basename, duration } from '../format';
import type { Mark } from '../icons';
import type { PipelineRun, PipelineStatus, StepResult, StepStatus } from '../models';
import { Row, RowContent, Tree } from '../rows';
import type { Store } from '../store';
import { TreeModel } from '../tree';
import { countOf, sectionPlugin } from './section';

const MARKS: Record<PipelineStatus, Mark> = {
  queued: 'pending',
  running: 'running',
  succeeded: 'succeeded',
  failed: 'failed',
  cancelled: 'stopped'
};

const STEP_MARKS: Record<StepStatus, Mark> = {
  pending: 'pending',
  running: 'running',
  ran: 'succeeded',
  cached: 'cached',
  failed: 'failed',
  skipped: 'skipped'
};

function words(trans: TranslationBundle): Record<PipelineStatus | StepStatus, string> {
  return {
    queued: trans.__('Queued'),
    pending: trans.__('Pending'),
    running: trans.__('Running'),
    succeeded: trans.__('Succeeded'),
    ran: trans.__('Ran'),
    cached: trans.__('Cached'),
    failed: trans.__('Failed'),
    skipped: trans.__('Skipped'),
    cancelled: trans.__('Cancelled')
  };
}

function StepRow(props: { run: PipelineRun; step: StepResult }): React.ReactElement {
  const { trans } = useLanguage();
  const { step } = props;
  const status = words(trans)[step.status];
  const time = step.seconds === null ? undefined : duration(step.seconds);
  return (
    <Row
      id={`${props.run.id}/${step.name}`}
      mark={STEP_MARKS[step.status]}
      status={status}
      name={step.name}
      tooltip={[step.name, status, step.reason].filter(Boolean).join('\n')}
      figure={<span className="mlops-Row-caption">{time ?? status}</span>}
    />
  );
}

type Open = (path: string) => Promise<void>;

function PipelineRow({ run, show }: { run: PipelineRun; show: Open }): React.ReactElement {
  const { trans } = useLanguage();
  const status = words(trans)[run.status];
  const under = run.status === 'running' || run.status === 'queued';
  const done = run.steps.filter(step => ['ran', 'cached', 'skipped'].includes(step.status)).length;
  const failed = run.steps.find(step => step.status === 'failed')?.name;
  const counted = under || run.status === 'failed' || run.seconds === null;
  const parameters = Object.entries(run.parameters).map(([name, value]): [string, string] => [
    name,
    String(value)
  ]);
  const name = basename(run.notebook);
  return (
    <Row
      id={run.id}
      mark={MARKS[run.status]}
      status={status}
      name={name}
      tooltip={[run.notebook, status, run.error, trans.__('Output: %1', run.output)]
        .filter(Boolean)
        .join('\n')}
      detail={
        <Facts>
          {status}
          <Ago time={run.started} />
          {failed !== undefined && <span className="mlops-bad">{trans.__('in %1', failed)}</span>}
        </Facts>
      }
      figure={counted ? trans.__('%1 of %2', done, run.steps.length) : duration(run.seconds ?? 0)}
      caption={counted ? trans.__('steps') : trans._n('%1 step', '%1 steps', run.steps.length)}
      open={under}
      actions={
        !under &&
        run.output !== '' && (
          <IconButton
            label={trans.__('Open the executed notebook of %1', name)}
            icon={notebookIcon}
            run={() => show(run.output)}
          />
        )
      }
    >
      {run.steps.map(step => (
        <StepRow key={step.name} run={run} step={step} />
      ))}
      {(run.error !== null || parameters.length > 0) && (
        <RowContent>
          {run.error !== null && (
            <p className="mlops-Message mlops-bad" title={run.error}>
              {run.error}
            </p>
          )}
          <Properties title={trans.__('Parameters')} entries={parameters} />
        </RowContent>
      )}
    </Row>
  );
}

function Pipelines(props: {
  store: Store<PipelineRun[]>;
  tree: TreeModel;
  show: Open;
}): React.ReactElement {
  const { trans } = useLanguage();
  return (
    <Body
      store={props.store}
      empty={trans.__(
        'No pipeline has run yet. Right-click a notebook in the file browser and choose Run as pipeline.'
      )}
    >
      {runs => (
        <Tree label={trans.__('Pipelines')} model={props.tree} first={runs[0]?.id ?? null}>
          {runs.map(run => (
            <PipelineRow key={run.id} run={run} show={props.show} />
          ))}
        </Tree>
      )}
    </Body>
  );
}

export const pipelinesSection = sectionPlugin(
  'pipelines',
  'The pipeline runs in the MLOps sidebar.',
  (client, trans, app) => {
    const tree = new TreeModel();
    const show = async (path: string): Promise<void> => {
      await app.commands.execute('docmanager:open', { path });
    };
    return {
      id: 'pipelines',
      title: trans.__('Pipelines'),
      rank: 300,
      stores: [client.pipelines],
      badge: () =>
        countOf(client.pipelines, (text, count) =>
          trans._n('%2 pipeline run', '%2 pipeline runs', count, text)
        ),
      render: () => <Pipelines store={client.pipelines} tree={tree} show={show} />
    };
  }
);
