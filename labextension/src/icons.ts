import { LabIcon } from '@jupyterlab/ui-components';

/** A 16 x 16 status drawing; the colour comes from the theme through the class. */
function status(name: string, tone: string, body: string): LabIcon {
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 16 16"><g class="mlops-tone-${tone}">${body}</g></svg>`;
  return new LabIcon({ name: `mlops-jupyter:${name}`, svgstr: svg });
}

const DISC = '<circle cx="8" cy="8" r="6.5" class="mlops-fill"/>';
const RING = '<circle cx="8" cy="8" r="5.75" class="mlops-line"/>';

/** The sidebar's icon: the loop from data to model and back. */
export const mlopsIcon = new LabIcon({
  name: 'mlops-jupyter:mlops',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">
  <g class="jp-icon3 jp-icon-selectable mlops-stroke" stroke="#616161" stroke-width="2.1" stroke-linecap="round">
    <path d="M14.1 9.6c1.2-1.3 2.3-2.1 3.7-2.1a4.5 4.5 0 0 1 0 9c-4.3 0-7.3-9-11.6-9a4.5 4.5 0 0 0 0 9c1.4 0 2.5-.8 3.7-2.1"/>
  </g>
</svg>`
});

/** Run a notebook as a pipeline: steps and a play mark. */
export const pipelineIcon = new LabIcon({
  name: 'mlops-jupyter:pipeline',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">
  <g class="jp-icon3" fill="#616161"><path d="M13 9.5v11l8.5-5.5z"/><circle cx="5.5" cy="5.5" r="2.5"/><circle cx="5.5" cy="18.5" r="2.5"/><path d="M4.6 7h1.8v10H4.6z"/><path d="M5.5 4.6h8.4c1.5 0 2.6 1.1 2.6 2.6h-1.8c0-.5-.3-.8-.8-.8H5.5z"/></g>
</svg>`
});

/** Mark something as the champion. */
export const championIcon = new LabIcon({
  name: 'mlops-jupyter:champion',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">
  <g class="jp-icon3" fill="#616161"><path d="M12 2.5l2.8 5.9 6.5.9-4.7 4.5 1.1 6.4L12 17.1l-5.7 3.1 1.1-6.4L2.7 9.3l6.5-.9z"/></g>
</svg>`
});

const MARKS = {
  succeeded: status(
    'succeeded',
    'success',
    `${DISC}<path d="M5 8.2l2.1 2.1 4-4.4" class="mlops-mark"/>`
  ),
  cached: status('cached', 'success', `${RING}<path d="M5.2 8.1l2 2 3.7-4.1" class="mlops-line"/>`),
  seen: status('seen', 'muted', `${RING}<path d="M5.2 8.1l2 2 3.7-4.1" class="mlops-line"/>`),
  failed: status(
    'failed',
    'error',
    `${DISC}<path d="M5.7 5.7l4.6 4.6M10.3 5.7l-4.6 4.6" class="mlops-mark"/>`
  ),
  stopped: status('stopped', 'muted', `${DISC}<path d="M6 6h4v4H6z" class="mlops-mark-fill"/>`),
  running: status(
    'running',
    'brand',
    '<circle cx="8" cy="8" r="5.75" class="mlops-line mlops-faint"/><path d="M8 2.25a5.75 5.75 0 0 1 5.75 5.75" class="mlops-line mlops-turn"/>'
  ),
  pending: status('pending', 'muted', RING),
  skipped: status('skipped', 'muted', `${RING}<path d="M5.2 8h5.6" class="mlops-line"/>`),
  warning: status(
    'warning',
    'warn',
    '<path d="M8 1.8l6.6 11.9H1.4z" class="mlops-fill mlops-round"/><path d="M8 6.2v3.4M8 11.6v.1" class="mlops-mark"/>'
  ),
  live: status('live', 'success', '<circle cx="8" cy="8" r="4.5" class="mlops-fill"/>'),
  down: status('down', 'muted', '<circle cx="8" cy="8" r="3.9" class="mlops-line"/>'),
  model: status(
    'model',
    'muted',
    '<path d="M8 1.9l5.3 3v6.2L8 14.1l-5.3-3V4.9z M2.9 5L8 7.9 13.1 5 M8 7.9v6" class="mlops-line mlops-round"/>'
  ),
  version: status(
    'version',
    'muted',
    '<path d="M8.6 2.5h4.9v4.9l-5.9 6-5-5z" class="mlops-line mlops-round"/><circle cx="10.9" cy="5.1" r=".9" class="mlops-fill"/>'
  )
} as const;

/** The drawings that say how something is. */
export type Mark = keyof typeof MARKS;

export function markIcon(mark: Mark): LabIcon {
  return MARKS[mark];
}
