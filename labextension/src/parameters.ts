import type { Parameter, Scalar } from './models';

/** How a parameter is asked for. */
export type Kind = 'int' | 'float' | 'bool' | 'str' | 'any';

/** A typed value, or why the text is none. */
export type Parsed = { value: Scalar; error?: never } | { value?: never; error: Kind };

/** Written so that they are valid in an input's `pattern`, too. */
const INTEGER_TEXT = '[+\\-]?\\d[\\d_]*';
const NUMBER_TEXT = '[+\\-]?(?:\\d[\\d_]*\\.?\\d*|\\.\\d+)(?:[eE][+\\-]?\\d+)?';

const INTEGER = new RegExp(`^${INTEGER_TEXT}$`);
const NUMBER = new RegExp(`^${NUMBER_TEXT}$`);
const QUOTED = /^(['"])((?:(?!\1)[^\\\n]|\\.)*)\1$/;

/** The value of a Python literal; undefined if the text is not one that a form can hold. */
export function literal(text: string): Scalar | undefined {
  const trimmed = text.trim();
  const words: Record<string, Scalar> = { None: null, True: true, False: false };
  if (trimmed in words) {
    return words[trimmed];
  }
  if (NUMBER.test(trimmed)) {
    return Number(trimmed.replaceAll('_', ''));
  }
  const quoted = QUOTED.exec(trimmed)?.[2];
  return quoted?.replace(/\\(.)/g, (_, char: string) => ({ n: '\n', t: '\t' })[char] ?? char);
}

/** What a parameter holds: by its declared type, else by its default. */
export function kindOf(parameter: Parameter): Kind {
  const declared = parameter.type.trim();
  if (declared === 'int' || declared === 'float' || declared === 'bool' || declared === 'str') {
    return declared;
  }
  const value = declared === '' || declared === 'None' ? literal(parameter.default) : undefined;
  switch (typeof value) {
    case 'boolean':
      return 'bool';
    case 'string':
      return 'str';
    case 'number':
      return INTEGER.test(parameter.default.trim()) ? 'int' : 'float';
    default:
      return 'any';
  }
}

/** The text that a form shows for the default: strings without their quotes. */
export function shown(parameter: Parameter): string {
  const value = literal(parameter.default);
  return typeof value === 'string' ? value : parameter.default;
}

/** Read what was typed for a parameter of that kind. */
export function parse(text: string, kind: Kind): Parsed {
  const trimmed = text.trim();
  switch (kind) {
    case 'str':
      return { value: text };
    case 'int':
      return INTEGER.test(trimmed) ? { value: Number(literal(trimmed)) } : { error: kind };
    case 'float':
      return NUMBER.test(trimmed) ? { value: Number(literal(trimmed)) } : { error: kind };
    case 'bool': {
      const value = literal(trimmed);
      return typeof value === 'boolean' ? { value } : { error: kind };
    }
    case 'any': {
      const value = literal(trimmed);
      return { value: value === undefined ? text : value };
    }
  }
}

/** The `pattern` of the input for a parameter; its default is always good. */
export function patternOf(parameter: Parameter): string | undefined {
  const kind = kindOf(parameter);
  if (kind !== 'int' && kind !== 'float') {
    return undefined;
  }
  const text = kind === 'int' ? INTEGER_TEXT : NUMBER_TEXT;
  const same = shown(parameter).replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
  return `\\s*(?:${text}|${same})\\s*`;
}
