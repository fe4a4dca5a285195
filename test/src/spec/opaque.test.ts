/** SPEC Q24: opaque texts, which only their equals tell something about. */
import assert from 'node:assert/strict'
import {
  Answered,
  canonical,
  erased,
  fresh,
  renamed,
  settled,
  shown,
  unified,
  unusedIn
} from '../../../src/spec/opaque.ts'
import { keyOf } from '../../../src/spec/plain.ts'

const NONE = new Map<string, string>()

describe('opaque texts (SPEC Q24)', () => {
  it('what a call makes gets a name that the states do not have', () => {
    const state = { a: '◇1', b: new Map([['◇2', new Set(['◇3'])]]) }
    assert.equal(unusedIn(state), '4')
    assert.deepEqual(settled({ a: [fresh(), fresh('b')], c: '◇1' }, '4'), { a: ['◇4', '◇4b'], c: '◇1' })
    assert.deepEqual(
      renamed(state, (name) => `${name}0`),
      { a: '◇10', b: new Map([['◇20', new Set(['◇30'])]]) }
    )
  })

  it('what has no names stays the same value', () => {
    const plain = { a: ['x', 1, null], b: new Set(['y']) }
    assert.equal(settled(plain, '1'), plain)
  })

  it('states that differ in their names only are one; equal and unequal texts are not', () => {
    const key = (a: string, b: string) => canonical(keyOf({ a, b }))
    assert.equal(key('◇7', '◇9'), key('◇1', '◇2'))
    assert.notEqual(key('◇7', '◇7'), key('◇1', '◇2'))
    assert.equal(erased(keyOf(['◇7', 'x'])), erased(keyOf(['◇1', 'x'])))
  })

  it('an answer is right if its texts are equal where those of the model are, over the whole history', () => {
    const key = (...names: string[]) => keyOf(names)
    const names = unified(key('◇5', '◇6'), key('◇1', '◇2'), NONE)!
    assert.ok(names)
    assert.ok(unified(key('◇6', '◇8'), key('◇2', '◇3'), names))
    assert.equal(unified(key('◇6'), key('◇1'), names), null, 'another text than before')
    assert.equal(unified(key('◇8'), key('◇1'), names), null, 'a text that was given to another')
    assert.equal(unified(key('◇5', 'x'), key('◇1', 'y'), names), null, 'another value beside it')
    assert.equal(shown(key('◇6', '◇9'), names), key('◇2', '◇new'))
  })

  it('texts have names in the order in which they were answered; nobody can give what nobody was given', () => {
    const answered = new Answered(/^id-/)
    assert.deepEqual(answered.named({ a: 'id-x', b: ['plain', 'id-y', 'id-x'], c: null }), {
      a: '◇1',
      b: ['plain', '◇2', '◇1'],
      c: null
    })
    const names = unified(keyOf('◇8'), keyOf('◇2'), NONE)!
    assert.deepEqual(answered.real([{ expected: '◇8' }, 'plain'], names), [{ expected: 'id-y' }, 'plain'])
    assert.equal(answered.real(['◇9'], names), null)
  })
})
