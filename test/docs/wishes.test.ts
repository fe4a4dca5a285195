/** docs/wishes.md is true: each of the fifteen has a test, and that is there. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

const ROOT = resolve(import.meta.dirname, '../..')

describe('docs/wishes.md', () => {
  const page = readFileSync(join(ROOT, 'docs/wishes.md'), 'utf8')
  const rows = page.split('\n').filter((line) => /^\| \d+\. /.test(line))

  it('has the fifteen', () => {
    const numbers = rows.map((row) => Number(/^\| (\d+)\. /.exec(row)![1]))
    assert.deepEqual(
      numbers,
      Array.from({ length: 15 }, (_, index) => index + 1)
    )
  })

  for (const row of rows) {
    const [wish, , test] = row
      .slice(2, -2)
      .split(' | ')
      .map((cell) => cell.trim())
    it(`${wish}: its test is there`, () => {
      const [, file, title] = /^`([^`]+)`: (.+)$/.exec(test!)!
      const text = readFileSync(join(ROOT, file!), 'utf8')
      // The title of a test, as its source has it.
      assert.ok(
        ["'", '`', '"'].some((quote) => text.includes(`it(${quote}${title}${quote},`)),
        `${file}: ${title}`
      )
    })
  }
})
