import assert from 'node:assert/strict'
import { blank } from './source.ts'

describe('blanking of comments and strings', () => {
  const cases: [string, string, string][] = [
    ['a line comment', 'a // await\nb', 'a         \nb'],
    ['a block comment over lines', 'a /* x\ny */ b', 'a     \n     b'],
    ['strings', `f('await', "it's")`, `f('     ', "    ")`],
    ['an escaped quote', String.raw`f('a\'b') + c`, `f('    ') + c`],
    ['a template with code', '`x${await y}z` + b', '` ${await y} ` + b'],
    ['a template with nested braces', '`x${f({ a: `q${1}` })}z`', '` ${f({ a: ` ${1}` })} `'],
    ['a regular expression', "x = /'[/]await/g + b", 'x = /         /g + b'],
    ['a division', 'a / b / c', 'a / b / c']
  ]
  for (const [what, text, expected] of cases) {
    it(`knows ${what}`, () => assert.equal(blank(text), expected))
  }
})
