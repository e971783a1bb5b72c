import { describe, expect, it } from 'vitest';
import type { Parameter } from '../src/models';
import { kindOf, literal, parse, patternOf, shown } from '../src/parameters';

function parameter(type: string, value: string): Parameter {
  return { name: 'p', type, default: value, help: '' };
}

describe('literal', () => {
  it.each([
    ['1_000', 1000],
    ['-2.5e-3', -0.0025],
    ['.5', 0.5],
    ['True', true],
    ['None', null],
    ["'a\\'b'", "a'b"],
    ['"x\\n"', 'x\n'],
    ["''", '']
  ])('%s', (text, value) => {
    expect(literal(text)).toBe(value);
  });
  it.each(["['a']", 'abc', '1 + 1', "'open", '', "'a' + 'b'"])('%s is none', text => {
    expect(literal(text)).toBeUndefined();
  });
});

describe('kindOf', () => {
  it.each([
    ['int', '7', 'int'],
    ['', '7', 'int'],
    ['None', '7.0', 'float'],
    ['', '1e3', 'float'],
    ['', 'False', 'bool'],
    ['', "'a'", 'str'],
    ['', 'None', 'any'],
    ['float | None', '0.5', 'any'],
    ['list', '[1]', 'any']
  ])('%s with default %s is %s', (type, value, kind) => {
    expect(kindOf(parameter(type, value))).toBe(kind);
  });
});

describe('parse', () => {
  it('keeps text as it was typed', () => {
    expect(parse(' 7 ', 'str')).toEqual({ value: ' 7 ' });
    expect(parse('abc', 'any')).toEqual({ value: 'abc' });
  });
  it('gives typed values', () => {
    expect(parse(' 12 ', 'int')).toEqual({ value: 12 });
    expect(parse('3', 'float')).toEqual({ value: 3 });
    expect(parse('False', 'bool')).toEqual({ value: false });
    expect(parse('None', 'any')).toEqual({ value: null });
  });
  it('refuses what is none', () => {
    expect(parse('1.5', 'int')).toEqual({ error: 'int' });
    expect(parse('', 'float')).toEqual({ error: 'float' });
    expect(parse('yes', 'bool')).toEqual({ error: 'bool' });
  });
});

describe('patternOf', () => {
  const matches = (given: Parameter, text: string): boolean =>
    new RegExp(`^(?:${patternOf(given) ?? '.*'})$`, 'v').test(text);

  it('lets numbers of the kind through', () => {
    expect(matches(parameter('int', '7'), ' 12 ')).toBe(true);
    expect(matches(parameter('int', '7'), '1.5')).toBe(false);
    expect(matches(parameter('float', '0.5'), '1e-3')).toBe(true);
    expect(matches(parameter('float', '0.5'), 'x')).toBe(false);
  });
  it('lets the default through, whatever it is', () => {
    const odd = parameter('int', '2 * (3 + 4) / [1, 2][0] - {1: 2}[1]');
    expect(matches(odd, shown(odd))).toBe(true);
    expect(matches(odd, '2')).toBe(true);
  });
  it('says nothing about text', () => {
    expect(patternOf(parameter('str', "'a'"))).toBeUndefined();
  });
});
