import { URLExt } from '@jupyterlab/coreutils';
import { Event, ServerConnection } from '@jupyterlab/services';
import { MLOpsError, isErrorBody } from './errors';
import type {
  Alert,
  Deployment,
  Model,
  Monitor,
  Noun,
  Pipeline,
  PipelineRun,
  Promotion,
  Report,
  Run,
  Scalar
} from './models';
import { Store } from './store';

/** The schema of the server's events that say what changed. */
export const CHANGED = 'https://events.mlops-jupyter.dev/changed/v1';

/** The REST client of `/mlops/api/`, with one live store for each noun. */
export class Client {
  /**
   * @param settings Where the server is.
   * @param events The server's event stream; each change makes the noun's store ask again.
   */
  constructor(
    private readonly settings: ServerConnection.ISettings,
    events: Event.Stream
  ) {
    events.connect((_, emission) => {
      if (emission.schema_id === CHANGED) {
        this.invalidate(emission.noun as Noun);
      }
    });
  }

  readonly runs = new Store(() => this.get<Run[]>('runs'));
  readonly models = new Store(() => this.get<Model[]>('models'));
  readonly pipelines = new Store(() => this.get<PipelineRun[]>('pipelines'));
  readonly deployments = new Store(() => this.get<Deployment[]>('deployments'));
  readonly monitors = new Store(() => this.get<Monitor[]>('monitors'));
  readonly alerts = new Store(() => this.get<Alert[]>('alerts'));

  /** Everything may have changed (we were away): what is watched is asked for again. */
  invalidateAll(): void {
    for (const noun of ['runs', 'models', 'pipelines', 'deployments', 'monitors'] as const) {
      this.invalidate(noun);
    }
  }

  /** A notebook, by its path from the server's root, as steps with parameters. */
  showPipeline(notebook: string): Promise<Pipeline> {
    return this.get(`pipelines/show?notebook=${encodeURIComponent(notebook)}`);
  }

  /** Start a pipeline; the answer comes at once, events tell how it goes. */
  async runPipeline(notebook: string, parameters: Record<string, Scalar>): Promise<PipelineRun> {
    const run = await this.request<PipelineRun>('POST', 'pipelines/run', { notebook, parameters });
    this.pipelines.invalidate();
    return run;
  }

  /** Move an alias to a version, through its gate. */
  async promote(model: string, version: string, alias: string): Promise<Promotion> {
    const path = `models/${encodeURIComponent(model)}/promote`;
    const promotion = await this.request<Promotion>('POST', path, { version, alias });
    this.models.invalidate();
    return promotion;
  }

  /** Stop serving. */
  async stopDeployment(name: string): Promise<void> {
    await this.request('DELETE', `deployments/${encodeURIComponent(name)}`);
    this.deployments.invalidate();
  }

  /** Compare a monitor's newest records with its reference now. */
  async checkMonitor(name: string): Promise<Report> {
    const report = await this.request<Report>('POST', `monitors/${encodeURIComponent(name)}/check`);
    this.invalidate('alerts');
    return report;
  }

  /** Start the retraining that an alert asks for. */
  async retrain(id: string): Promise<void> {
    await this.request('POST', `alerts/${encodeURIComponent(id)}/retrain`);
    this.invalidate('pipelines');
  }

  /** Mark an alert as seen. */
  async acknowledge(id: string): Promise<void> {
    await this.request('POST', `alerts/${encodeURIComponent(id)}/ack`);
    this.invalidate('alerts');
  }

  private invalidate(noun: Noun): void {
    if (noun === 'alerts' || noun === 'monitors') {
      this.monitors.invalidate();
      this.alerts.invalidate();
    } else {
      // Of a newer server there may be nouns that this client does not know.
      (this[noun] as Store<unknown> | undefined)?.invalidate();
    }
  }

  private get<T>(path: string): Promise<T> {
    return this.request<T>('GET', path);
  }

  private async request<T>(method: string, path: string, body?: object): Promise<T> {
    const url = URLExt.join(this.settings.baseUrl, 'mlops/api', path);
    const init: RequestInit = { method };
    if (body) {
      init.body = JSON.stringify(body);
    }
    let response: Response;
    try {
      response = await ServerConnection.makeRequest(url, init, this.settings);
    } catch {
      throw new MLOpsError('Unavailable', 'The Jupyter server does not answer.', 'Is it running?');
    }
    const text = await response.text();
    const data = parse(text);
    if (response.ok) {
      return data as T;
    }
    if (isErrorBody(data)) {
      throw new MLOpsError(data.code, data.message, data.hint, response.status);
    }
    if (response.status === 404) {
      throw new MLOpsError(
        'NotFound',
        'The server extension mlops_jupyter is not running.',
        'Enable it with: jupyter server extension enable mlops_jupyter',
        404
      );
    }
    const reason = `The server answered ${response.status} ${response.statusText}`.trim();
    throw new MLOpsError('MLOpsError', `${reason}.`, 'See its log.', response.status);
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
