import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { IDefaultFileBrowser } from '@jupyterlab/filebrowser';
import { INotebookTracker } from '@jupyterlab/notebook';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { attempt } from './components';
import { askParameters } from './dialog';
import { pipelineIcon } from './icons';
import { IMLOpsClient, IMLOpsPanel } from './tokens';

/** Run a notebook as a pipeline: the one selected in the file browser, or the one in front. */
export const RUN_PIPELINE = 'mlops:run-pipeline';

export const runPipeline: JupyterFrontEndPlugin<void> = {
  id: 'mlops-jupyter:run-pipeline',
  description: 'The command that runs a notebook as a pipeline, where notebooks are.',
  autoStart: true,
  requires: [IMLOpsClient, IMLOpsPanel],
  optional: [INotebookTracker, IDefaultFileBrowser, ICommandPalette, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    client: IMLOpsClient,
    panel: IMLOpsPanel,
    notebooks: INotebookTracker | null,
    browser: IDefaultFileBrowser | null,
    palette: ICommandPalette | null,
    translator: ITranslator | null
  ) => {
    const trans = (translator ?? nullTranslator).load('mlops_jupyter');

    const chosen = (inBrowser: boolean): string | null => {
      if (!inBrowser) {
        return notebooks?.currentWidget?.context.path ?? null;
      }
      const selected = Array.from(browser?.selectedItems() ?? []);
      const only = selected.length === 1 ? selected[0] : undefined;
      return only?.type === 'notebook' ? only.path : null;
    };

    const run = async (path: string): Promise<void> => {
      const open = notebooks?.find(({ context }) => context.path === path && context.model.dirty);
      await open?.context.save();
      const notebook = app.serviceManager.contents.localPath(path);
      const parameters = await askParameters(await client.showPipeline(notebook), trans);
      if (parameters !== null) {
        await client.runPipeline(notebook, parameters);
        panel.reveal('pipelines');
      }
    };

    app.commands.addCommand(RUN_PIPELINE, {
      label: args => (args.toolbar ? '' : trans.__('Run as pipeline')),
      caption: trans.__('Save this notebook and run it as a pipeline'),
      icon: args => (args.palette ? undefined : pipelineIcon),
      isEnabled: args => args.path !== undefined || chosen(!!args.browser) !== null,
      isVisible: args => !args.browser || chosen(true) !== null,
      describedBy: {
        args: {
          type: 'object',
          properties: {
            path: { type: 'string', description: 'The notebook, from the server root.' },
            browser: { type: 'boolean', description: 'Take what the file browser selected.' }
          }
        }
      },
      execute: async args => {
        const given = args.path;
        const path = typeof given === 'string' ? given : chosen(!!args.browser);
        if (path !== null) {
          await attempt(run(path));
        }
      }
    });
    notebooks?.currentChanged.connect(() => app.commands.notifyCommandChanged(RUN_PIPELINE));
    palette?.addItem({
      command: RUN_PIPELINE,
      category: trans.__('MLOps'),
      args: { palette: true }
    });
  }
};
