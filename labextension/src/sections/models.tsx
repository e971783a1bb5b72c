import { Dialog, Notification, showDialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';
import { Ago, Body, Facts, IconButton, Pill, attempt, useLanguage } from '../components';
import { figure, keyMetric } from '../format';
import { championIcon } from '../icons';
import type { Model, ModelVersion } from '../models';
import { Row, Tree } from '../rows';
import type { IMLOpsClient } from '../tokens';
import { TreeModel } from '../tree';
import { countOf, sectionPlugin } from './section';

const CHAMPION = 'champion';

async function promote(
  client: IMLOpsClient,
  trans: TranslationBundle,
  model: Model,
  version: string
): Promise<void> {
  const asked = await showDialog({
    title: trans.__('Promote %1 version %2 to champion?', model.name, version),
    body:
      model.champion === null
        ? trans.__('It has to pass the gate first.')
        : trans.__('It has to pass the gate first, then it replaces version %1.', model.champion),
    buttons: [
      Dialog.cancelButton({ label: trans.__('Cancel') }),
      Dialog.okButton({ label: trans.__('Promote') })
    ]
  });
  if (asked.button.accept && (await attempt(client.promote(model.name, version, CHAMPION)))) {
    Notification.success(trans.__('%1 version %2 is champion.', model.name, version));
  }
}

function VersionRow(props: {
  model: Model;
  version: ModelVersion;
  client: IMLOpsClient;
}): React.ReactElement {
  const { trans, locale } = useLanguage();
  const { model, version } = props;
  const metric = keyMetric(version.metrics);
  const name = trans.__('Version %1', version.version);
  return (
    <Row
      id={`${model.name}/${version.version}`}
      mark="version"
      status={version.status}
      name={`v${version.version}`}
      label={[name, ...version.aliases.map(alias => `@${alias}`)].join(', ')}
      tags={version.aliases.map(alias => (
        <Pill key={alias} tone="brand">
          {alias}
        </Pill>
      ))}
      detail={version.created ? <Ago time={version.created} /> : undefined}
      figure={metric && figure(metric[1], locale)}
      caption={metric?.[0]}
      actions={
        !version.aliases.includes(CHAMPION) && (
          <IconButton
            label={trans.__('Promote %1 version %2 to champion', model.name, version.version)}
            icon={championIcon}
            run={() => promote(props.client, trans, model, version.version)}
          />
        )
      }
    />
  );
}

function Models(props: { client: IMLOpsClient; tree: TreeModel }): React.ReactElement {
  const { trans } = useLanguage();
  return (
    <Body
      store={props.client.models}
      empty={
        <>
          {trans.__('No models yet. Register the best run:')}{' '}
          <code>%mlops models register NAME --best accuracy</code>
        </>
      }
    >
      {models => (
        <Tree label={trans.__('Models')} model={props.tree} first={models[0]?.name ?? null}>
          {models.map(model => {
            const versions = trans._n('%1 version', '%1 versions', model.versions.length);
            const champion =
              model.champion === null ? trans.__('no champion') : trans.__('champion');
            const created = model.versions[0]?.created;
            return (
              <Row
                key={model.name}
                id={model.name}
                mark="model"
                status={trans.__('Model')}
                name={model.name}
                label={[model.name, versions, champion, model.champion].filter(Boolean).join(', ')}
                detail={
                  <Facts>
                    {versions}
                    {created && <Ago time={created} />}
                  </Facts>
                }
                figure={model.champion === null ? undefined : `v${model.champion}`}
                caption={champion}
              >
                {model.versions.map(version => (
                  <VersionRow
                    key={version.version}
                    model={model}
                    version={version}
                    client={props.client}
                  />
                ))}
              </Row>
            );
          })}
        </Tree>
      )}
    </Body>
  );
}

export const modelsSection = sectionPlugin(
  'models',
  'The registered models in the MLOps sidebar.',
  (client, trans) => {
    const tree = new TreeModel();
    return {
      id: 'models',
      title: trans.__('Models'),
      rank: 200,
      stores: [client.models],
      badge: () =>
        countOf(client.models, (text, count) => trans._n('%2 model', '%2 models', count, text)),
      render: () => <Models client={client} tree={tree} />
    };
  }
);
