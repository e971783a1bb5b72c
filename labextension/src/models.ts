/**
 * What crosses the wire. Made by generate_models.py from mlops_jupyter/models.py: edit that file,
 * then run `jlpm models`.
 */

export type Scalar = string | number | boolean | null;

export type RunStatus = 'RUNNING' | 'FINISHED' | 'FAILED' | 'KILLED';

export type StepStatus = 'pending' | 'running' | 'ran' | 'cached' | 'failed' | 'skipped';

export type PipelineStatus = 'queued' | 'running' | 'succeeded' | 'failed' | 'cancelled';

export type DeploymentStatus = 'starting' | 'ready' | 'failed' | 'stopped';

export type ReportStatus = 'ok' | 'drift' | 'invalid';

export type AlertStatus = 'open' | 'acknowledged' | 'resolved';

export type Severity = 'warning' | 'critical';

export type Noun = 'runs' | 'models' | 'pipelines' | 'deployments' | 'monitors' | 'alerts';

/** One experiment run; `run_id` is MLflow's. */
export interface Run {
  run_id: string;
  name: string;
  experiment: string;
  status: RunStatus;
  started: string;
  ended: string | null;
  parameters: Record<string, string>;
  metrics: Record<string, number>;
  notebook: string | null;
  kind: 'model' | 'pipeline' | 'step' | 'sweep' | 'run';
  parent_id: string | null;
}

/** One executed cell as the journal has it. */
export interface Cell {
  number: number;
  source: string;
  status: 'ok' | 'error';
  started: string;
  seconds: number;
  output: string;
  error: string | null;
}

/** The data that reached a fit: `rows` x `columns`, and the digest of its full content. */
export interface Dataset {
  role: string;
  rows: number;
  columns: string[];
  digest: string;
}

/** A run with all that explains it. */
export interface RunDetail extends Run {
  cells: Cell[];
  data: Dataset[];
  environment: Record<string, string>;
  git: Record<string, string>;
  reproducibility: string[];
}

/** A parameter that a notebook's `parameters` cell declares. */
export interface Parameter {
  name: string;
  type: string;
  default: string;
  help: string;
}

/** What a step takes from an earlier one; `why` are sentences for people. */
export interface Need {
  step: string;
  names: string[];
  files: string[];
  why: string[];
}

/**
 * A contiguous group of code cells that runs as a unit; `cells` are 0-based indices. `cache`,
 * `retries` and `timeout` (seconds) are what its cells' tags ask for; `notes` say what is special
 * about it.
 */
export interface Step {
  name: string;
  cells: number[];
  needs: Need[];
  cache: boolean;
  retries: number;
  timeout: number | null;
  notes: string[];
}

/** A notebook seen as steps. */
export interface Pipeline {
  notebook: string;
  parameters: Parameter[];
  steps: Step[];
}

/** How one step of a pipeline run went. */
export interface StepResult {
  name: string;
  status: StepStatus;
  seconds: number | null;
  reason: string;
  run_id: string | null;
  attempts: number;
}

/**
 * One execution of a pipeline. `id` is ours and known before the run starts; `run_id` is MLflow's
 * parent run. `notebook` and `output` are relative to the workspace where they can be. `resumed`
 * is the id of the run that it continued.
 */
export interface PipelineRun {
  id: string;
  run_id: string | null;
  notebook: string;
  status: PipelineStatus;
  started: string;
  seconds: number | null;
  output: string;
  steps: StepResult[];
  parameters: Record<string, Scalar>;
  error: string | null;
  resumed: string | null;
}

/**
 * A notebook whose first cell loads what the step `step` of the pipeline run `run` begins with,
 * and whose other cells are the step's. `notebook` is what ran, `output` the new one. `cell` is
 * the index in it of the cell that failed, and `error` why it did.
 */
export interface DebugNotebook {
  notebook: string;
  run: string;
  step: string;
  output: string;
  cell: number | null;
  error: string | null;
}

/**
 * What was loaded into a kernel so that a step can be run there by hand. `names` are the
 * variables, `again` the steps that ran again because what they leave behind is in no cache;
 * `without` says of names that were left out why. `notes` are lines about what may not be as it
 * was.
 */
export interface StepInputs {
  run: string;
  step: string;
  names: string[];
  again: string[];
  without: Record<string, string>;
  notes: string[];
}

/**
 * One combination of a sweep and how its pipeline run went. `number` counts from 1 in the order of
 * execution; `id`, `run_id`, `status`, `seconds`, `output` and `error` are the pipeline run's.
 * `parameters` are those that the sweep varies, `ran` and `cached` count steps.
 */
export interface SweepRun {
  number: number;
  parameters: Record<string, Scalar>;
  id: string;
  run_id: string | null;
  status: PipelineStatus;
  seconds: number | null;
  ran: number;
  cached: number;
  output: string;
  metrics: Record<string, number>;
  error: string | null;
}

/**
 * A notebook run with each of `total` combinations of parameters; `run_id` is MLflow's run above
 * those of the pipeline runs. `runs` has those that ended, best first by `metric` (`order` says
 * what is best) if they have one, else in the order of execution; those that did not succeed come
 * last.
 */
export interface Sweep {
  id: string;
  run_id: string | null;
  notebook: string;
  status: PipelineStatus;
  started: string;
  seconds: number | null;
  total: number;
  runs: SweepRun[];
  metric: string | null;
  order: 'max' | 'min';
}

/**
 * A cell run both ways. `index` is 0-based; `steady` is false where two runs of the notebook
 * itself differ, so that nothing can be said.
 */
export interface CellVerification {
  index: number;
  equal: boolean;
  first_difference: string | null;
  steady: boolean;
}

/** A final variable or a written file that differs. */
export interface Finding {
  name: string;
  first_difference: string;
  steady: boolean;
}

/**
 * A notebook run both ways. `equal` does not count what is not steady. `seconds_notebook`,
 * `seconds_pipeline` and `seconds_cached` are the times of the plain run and of the pipeline, cold
 * and from the cache.
 */
export interface Verification {
  notebook: string;
  equal: boolean;
  cells: CellVerification[];
  variables: Finding[];
  files: Finding[];
  seconds_notebook: number;
  seconds_pipeline: number;
  seconds_cached: number;
}

/** One version of a registered model. */
export interface ModelVersion {
  version: string;
  aliases: string[];
  run_id: string | null;
  status: string;
  created: string;
  metrics: Record<string, number>;
}

/** A registered model, newest version first. */
export interface Model {
  name: string;
  versions: ModelVersion[];
  champion: string | null;
}

/** One check of a promotion gate with the figures it compared. */
export interface GateCheck {
  name: string;
  passed: boolean;
  detail: string;
  value: number | null;
  limit: number | null;
}

/** An alias that moved (or was refused). */
export interface Promotion {
  model: string;
  version: string;
  alias: string;
  previous: string | null;
  passed: boolean;
  checks: GateCheck[];
}

/** One line of the append-only audit log; `digest` covers the line and `previous`. */
export interface AuditEntry {
  number: number;
  time: string;
  actor: string;
  action: string;
  subject: string;
  detail: Record<string, unknown>;
  previous: string;
  digest: string;
}

/** A model version behind a deployment and its share of the traffic (0 to 1). */
export interface ServedVersion {
  version: string;
  weight: number;
}

/** A named, served model. */
export interface Deployment {
  name: string;
  url: string;
  status: DeploymentStatus;
  model: string;
  versions: ServedVersion[];
  alias: string | null;
  requests: number;
  errors: number;
  p50_ms: number | null;
  p99_ms: number | null;
  target: string;
  error: string | null;
}

/** Drift of one column. */
export interface ColumnDrift {
  column: string;
  statistic: string;
  value: number | null;
  p_value: number | null;
  threshold: number;
  drift: boolean;
}

/** What a check found in a window of data against its reference. */
export interface Report {
  status: ReportStatus;
  rows_reference: number;
  rows_current: number;
  drifted_share: number;
  columns: ColumnDrift[];
  findings: string[];
  monitor: string | null;
  created: string;
  alert: string | null;
}

/** Watches a deployment's records against a reference data file. */
export interface Monitor {
  name: string;
  deployment: string;
  reference: string;
  drift_share: number;
  retrain: string | null;
  retrain_parameter: string | null;
  last_status: ReportStatus | null;
  last_checked: string | null;
}

/** Raised by a report; stays open until someone acknowledges it or a retraining resolves it. */
export interface Alert {
  id: string;
  monitor: string;
  raised: string;
  severity: Severity;
  summary: string;
  status: AlertStatus;
}

/**
 * What a labels file brought to a deployment's records. `matched` and `unknown` count the file's
 * request ids with and without a record (the latter are kept: the record may come later),
 * `corrected` those that had another label before. `labelled` of the deployment's `records` have a
 * label now; `coverage` is their share (0 to 1). `label` is the label's column name.
 */
export interface LabelsAdded {
  deployment: string;
  label: string;
  matched: number;
  unknown: number;
  corrected: number;
  labelled: number;
  records: number;
  coverage: number;
}

/** Whether the audit log is as it was written; no `problems`: it is. */
export interface AuditVerdict {
  facts: string[];
  problems: string[];
}

/** What `mlops doctor` found out about this machine and workspace. */
export interface Doctor {
  facts: string[];
  problems: string[];
}

/** The last lines a deployment's process wrote. */
export interface Logs {
  name: string;
  text: string;
}

/** A project folder made from a template; `files` are relative to it. */
export interface Project {
  folder: string;
  template: string;
  files: string[];
  next: string;
}

/** One answer of a deployment to one row. */
export interface Prediction {
  row: number;
  label: Scalar;
  version: string;
  latency_ms: number;
}

/** What the tour did, from the first run to the retrained model behind the same URL. */
export interface Tour {
  run: PipelineRun;
  model: string;
  version: string;
  deployment: Deployment;
  prediction: Prediction;
  calm: Report;
  report: Report;
  alert: Alert;
  retraining: PipelineRun;
  promotion: Promotion;
  new_version: string;
  seconds: number;
  next: string[];
}

/** `POST models/<name>/promote`. */
export interface PromoteRequest {
  version: string;
  alias: string;
}

/** `POST pipelines/run`; `notebook` is relative to the server's folder. */
export interface PipelineRequest {
  notebook: string;
  parameters: Record<string, Scalar>;
}

/** `POST deployments`: an `alias` to follow (`champion` if neither is given) or a fixed `version`. */
export interface DeployRequest {
  model: string;
  name: string;
  alias: string | null;
  version: string | null;
}

/** `POST monitors/<name>/check`: over the `last` records, or all since the last version change. */
export interface CheckRequest {
  last: number | null;
}

/** `POST models`: the run's model becomes the next version of `name`. */
export interface RegisterRequest {
  name: string;
  run_id: string;
}

/** `POST monitors`; files are relative to the server's folder. */
export interface MonitorRequest {
  name: string;
  deployment: string;
  reference: string;
  drift_share: number;
  retrain: string | null;
  retrain_parameter: string | null;
}

/** `POST labels`: a file (CSV or Parquet) of `request_id` and one more column. */
export interface LabelsRequest {
  deployment: string;
  file: string;
}

/** The body of requests that need none. */
export type EmptyRequest = Record<string, never>;

/** Something in the workspace changed: which kind of thing, which one, and how. */
export interface Event {
  noun: Noun;
  id: string;
  change: string;
  time: string;
}

/** The body of every 4xx and 5xx answer under `/mlops/api/`. */
export interface ErrorBody {
  code: string;
  message: string;
  hint: string;
}

/**
 * What the cache keeps of one execution of a step; `size` (bytes) of what it needs, which others
 * may need too. `used`: when a run last took it.
 */
export interface CacheEntry {
  id: string;
  step: string;
  notebook: string;
  created: string;
  used: string;
  seconds: number;
  size: number;
}

/**
 * The cache: its `entries`, newest first, and its `size` (bytes) on the disk. `removed` entries
 * and `freed` bytes are what the command took away, or would take with `dry_run`; nothing (`None`)
 * if that is not what it does.
 */
export interface CacheSummary {
  url: string;
  entries: CacheEntry[];
  size: number;
  removed: CacheEntry[];
  freed: number | null;
  dry_run: boolean;
}
