import {
  ILabShell,
  ILayoutRestorer,
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { IStateDB } from '@jupyterlab/statedb';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { Client } from './client';
import { mlopsIcon } from './icons';
import { MLOpsPanel } from './panel';
import { runPipeline } from './run';
import { deploymentsSection } from './sections/deployments';
import { modelsSection } from './sections/models';
import { monitorsSection } from './sections/monitors';
import { pipelinesSection } from './sections/pipelines';
import { runsSection } from './sections/runs';
import { IMLOpsClient, IMLOpsPanel } from './tokens';

export { IMLOpsClient, IMLOpsPanel } from './tokens';

const SHOW_PANEL = 'mlops:show-panel';
const CLOSED = 'mlops-jupyter:closed-sections';

const client: JupyterFrontEndPlugin<IMLOpsClient> = {
  id: 'mlops-jupyter:client',
  description: 'The client of the MLOps server extension.',
  autoStart: true,
  provides: IMLOpsClient,
  activate: (app: JupyterFrontEnd) => {
    const { serverSettings, events } = app.serviceManager;
    const made = new Client(serverSettings, events.stream);
    // A browser's tab in the background may lose its connection, and with it some events.
    document.addEventListener('visibilitychange', () => {
      if (document.visibilityState === 'visible') {
        made.invalidateAll();
      }
    });
    return made;
  }
};

const panel: JupyterFrontEndPlugin<IMLOpsPanel> = {
  id: 'mlops-jupyter:panel',
  description: 'The MLOps sidebar.',
  autoStart: true,
  provides: IMLOpsPanel,
  optional: [ILabShell, ILayoutRestorer, IStateDB, ICommandPalette, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    labShell: ILabShell | null,
    restorer: ILayoutRestorer | null,
    state: IStateDB | null,
    palette: ICommandPalette | null,
    translator: ITranslator | null
  ) => {
    const used = translator ?? nullTranslator;
    const trans = used.load('mlops_jupyter');
    const made = new MLOpsPanel(used);
    void app.restored
      .then(() => state?.fetch(CLOSED))
      .then(closed => {
        made.closeSections(Array.isArray(closed) ? closed.map(String) : []);
        made.closedChanged.connect((_, ids) => void state?.save(CLOSED, ids));
      });
    made.revealRequested.connect(() => app.shell.activateById(made.id));
    restorer?.add(made, made.id);
    app.shell.add(made, 'left', { rank: 350, type: 'MLOps' });
    app.commands.addCommand(SHOW_PANEL, {
      label: trans.__('Show MLOps Sidebar'),
      icon: args => (args.palette ? undefined : mlopsIcon),
      describedBy: { args: { type: 'object', properties: {} } },
      execute: () => {
        labShell?.expandLeft();
        app.shell.activateById(made.id);
      }
    });
    palette?.addItem({
      command: SHOW_PANEL,
      category: trans.__('MLOps'),
      args: { palette: true }
    });
    return made;
  }
};

export default [
  client,
  panel,
  runsSection,
  modelsSection,
  pipelinesSection,
  deploymentsSection,
  monitorsSection,
  runPipeline
];
