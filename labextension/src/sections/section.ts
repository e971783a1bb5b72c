import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ITranslator, TranslationBundle, nullTranslator } from '@jupyterlab/translation';
import type { Store } from '../store';
import { IMLOpsClient, IMLOpsPanel } from '../tokens';

/** The server sends at most that many things of one kind. */
const PAGE = 200;

/** The plug-in `mlops-jupyter:<id>` that adds one section to the sidebar. */
export function sectionPlugin(
  id: string,
  description: string,
  section: (
    client: IMLOpsClient,
    trans: TranslationBundle,
    app: JupyterFrontEnd
  ) => IMLOpsPanel.ISection
): JupyterFrontEndPlugin<void> {
  return {
    id: `mlops-jupyter:${id}`,
    description,
    autoStart: true,
    requires: [IMLOpsPanel, IMLOpsClient],
    optional: [ITranslator],
    activate: (
      app: JupyterFrontEnd,
      panel: IMLOpsPanel,
      client: IMLOpsClient,
      translator: ITranslator | null
    ) => {
      panel.add(section(client, (translator ?? nullTranslator).load('mlops_jupyter'), app));
    }
  };
}

/** How many there are, as a badge; nothing while there are none. */
export function countOf<T>(
  store: Store<T[]>,
  label: (text: string, count: number) => string,
  counted: (item: T) => boolean = () => true
): IMLOpsPanel.IBadge | null {
  const all = store.state.value ?? [];
  const count = all.filter(counted).length;
  const text = count > 0 && all.length >= PAGE ? `${count}+` : String(count);
  return count > 0 ? { text, label: label(text, count) } : null;
}
