import { Dialog, ReactWidget, showDialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';
import { basename } from './format';
import type { Parameter, Pipeline, Scalar } from './models';
import { Kind, kindOf, parse, patternOf, shown } from './parameters';

function complaint(kind: Kind, trans: TranslationBundle): string | undefined {
  switch (kind) {
    case 'int':
      return trans.__('Enter a whole number.');
    case 'float':
      return trans.__('Enter a number.');
    default:
      return undefined;
  }
}

/** The form with a field for each parameter; its value holds only what was changed. */
class ParameterForm extends ReactWidget implements Dialog.IBodyWidget<Record<string, Scalar>> {
  constructor(
    private readonly pipeline: Pipeline,
    private readonly trans: TranslationBundle
  ) {
    super();
    this.addClass('mlops-Form');
  }

  getValue(): Record<string, Scalar> {
    const changed: Record<string, Scalar> = {};
    for (const parameter of this.pipeline.parameters) {
      const text = this.texts.get(parameter.name);
      if (text !== undefined && text !== shown(parameter)) {
        changed[parameter.name] = parse(text, kindOf(parameter)).value ?? null;
      }
    }
    return changed;
  }

  protected override render(): React.ReactElement {
    const { steps, parameters } = this.pipeline;
    return (
      <>
        <p className="mlops-Form-steps">
          {this.trans._n('%1 step: ', '%1 steps: ', steps.length)}
          {steps.map(step => step.name).join(', ')}
        </p>
        {parameters.map(parameter => this.field(parameter))}
      </>
    );
  }

  private field(parameter: Parameter): React.ReactElement {
    const id = `mlops-parameter-${parameter.name}`;
    const kind = kindOf(parameter);
    const common = { id, className: 'jp-mod-styled', 'aria-describedby': `${id}-help` };
    const keep = (event: React.ChangeEvent<HTMLInputElement | HTMLSelectElement>): void => {
      this.texts.set(parameter.name, event.target.value);
    };
    return (
      <div className="mlops-Form-field" key={parameter.name}>
        <label htmlFor={id}>
          {parameter.name}
          <span className="mlops-Form-type">
            {kind === 'any' ? parameter.type.replace(/^None$/, '') : kind}
          </span>
        </label>
        {kind === 'bool' ? (
          <select {...common} defaultValue={shown(parameter)} onChange={keep}>
            <option>True</option>
            <option>False</option>
          </select>
        ) : (
          <input
            {...common}
            type="text"
            inputMode={kind === 'int' || kind === 'float' ? 'decimal' : 'text'}
            spellCheck={false}
            autoComplete="off"
            defaultValue={shown(parameter)}
            pattern={patternOf(parameter)}
            required={kind === 'int' || kind === 'float'}
            title={complaint(kind, this.trans)}
            onChange={keep}
          />
        )}
        <p id={`${id}-help`} className="mlops-Form-help">
          {[parameter.help, this.trans.__('Default: %1', parameter.default)]
            .filter(Boolean)
            .join(' · ')}
        </p>
      </div>
    );
  }

  private readonly texts = new Map<string, string>();
}

/** Ask for the pipeline's parameters; null if the person thought better of it. */
export async function askParameters(
  pipeline: Pipeline,
  trans: TranslationBundle
): Promise<Record<string, Scalar> | null> {
  if (pipeline.parameters.length === 0) {
    return {};
  }
  const answer = await showDialog({
    title: trans.__('Run %1 as pipeline', basename(pipeline.notebook)),
    body: new ParameterForm(pipeline, trans),
    focusNodeSelector: 'input, select',
    buttons: [
      Dialog.cancelButton({ label: trans.__('Cancel') }),
      Dialog.okButton({ label: trans.__('Run') })
    ]
  });
  return answer.button.accept ? answer.value : null;
}
