/**
 * The shipped SOs and TFs of the sets, each broken in one place: does the check notice? A mutant is one text of one file
 * replaced by another. What no history can tell apart from the right code says why.
 */
export interface Mutant {
  file: string
  what: string
  from: string
  to: string
  /** Why nobody can tell it apart. */
  same?: string
}

const of =
  (file: string) =>
  (what: string, from: string, to: string, same?: string): Mutant => ({
    file,
    what,
    from,
    to,
    ...(same === undefined ? {} : { same })
  })

const futureColor = of('v2/future-color-set.ts')
const pastInt = of('v2/past-int-set.ts')
const colorTransform = of('v2/transform.ts')
const futureFlavor = of('v3/future-flavor-set.ts')
const pastColor = of('v3/past-color-set.ts')
const flavorTransform = of('v3/transform.ts')
const futureInt = of('grow/v2/future-int-set.ts')
const pastGrow = of('grow/v2/past-grow-set.ts')
const growTransform = of('grow/v2/transform.ts')

/** A cache that is filled by the first answer and never emptied. */
const cached = (method: string, type: string, answer: string): string =>
  `readonly #cached = new Map<number, ${type}>()
  async ${method}(x: number) {
    const known = this.#cached.get(x) ?? (${answer})
    this.#cached.set(x, known)
    return known
  }`

const contains = `contains(x: number) {
    return this.context.delegate.contains(x)
  }`

const interceptColor = 'return [{ delete: `color/${x}` }]'
const onInsert = `if (method === 'insert' && (await this.context.delegate.contains(x as number))) return []`

const colors: Mutant[] = [
  futureColor('insertColor forgets the table', 'this.context.state.put(`color/${x}`, color)', ''),
  futureColor('insertColor forgets the object', 'await this.context.delegate.insert(x)', ''),
  futureColor('insertColor swaps key and value', 'put(`color/${x}`, color)', 'put(`color/${color}`, x)'),
  futureColor('one table entry for all elements', 'put(`color/${x}`, color)', 'put(`color/1`, color)'),
  futureColor(
    'insertColor keeps the first colour',
    'this.context.state.put(`color/${x}`, color)',
    'if (this.context.state.get(`color/${x}`) === undefined) this.context.state.put(`color/${x}`, color)'
  ),
  futureColor(
    'insertColor puts the colour of absent elements only',
    'this.context.state.put(`color/${x}`, color)',
    'if (!(await this.contains(x))) this.context.state.put(`color/${x}`, color)'
  ),
  futureColor(
    'insertColor is concurrent',
    "{ insertColor: 'mutator'",
    "{ insertColor: { kind: 'mutator', concurrent: true }"
  ),
  futureColor(
    'insertColor inserts before it puts the colour',
    'this.context.state.put(`color/${x}`, color)\n    await this.context.delegate.insert(x)',
    'await this.context.delegate.insert(x)\n    this.context.state.put(`color/${x}`, color)',
    'both are one transaction of the host, crashes included (V8)'
  ),
  futureColor(
    'insertColor does not wait for its delegate call',
    'await this.context.delegate.insert(x)',
    'void this.context.delegate.insert(x)',
    'a delegate call that is not awaited ends inside its operation all the same'
  ),
  futureColor('delete forgets the object', 'await this.context.delegate.delete(x)', ''),
  futureColor(
    'delete leaves the colour in the table',
    'this.context.state.delete(`color/${x}`)\n',
    '\n',
    'whoever inserts the element again finds it absent, and that forgets the colour; the TF and getColor look at elements that are there only'
  ),
  futureColor(
    'getColor answers for absent elements',
    'if (!(await this.context.delegate.contains(x))) return null',
    ''
  ),
  futureColor('getColor has another default', "?? 'blue'", "?? 'red'"),
  futureColor('contains is cached', contains, cached('contains', 'boolean', 'await this.context.delegate.contains(x)')),
  futureColor(
    'contains says what the table says',
    'return this.context.delegate.contains(x)',
    'return Promise.resolve(this.context.state.get(`color/${x}`) !== undefined)'
  ),
  futureColor('the interception does nothing', interceptColor, 'return []'),
  futureColor('the interception forgets another entry', interceptColor, 'return [{ delete: `colour/${x}` }]'),
  futureColor('the interception puts instead of deletes', interceptColor, "return [{ put: [`color/${x}`, 'red'] }]"),
  futureColor('the interception of insert lacks "if absent"', onInsert, 'void method'),
  futureColor('the interception of insert has it the wrong way round', "insert' && (await", "insert' && !(await"),
  futureColor(
    'the interception of delete has "if absent"',
    "method === 'insert' && ",
    '',
    'insertions are intercepted, too, and find the element absent'
  ),
  futureColor('nothing is intercepted', "['insert', 'delete'] as const", '[] as const'),
  futureColor(
    'insert is not intercepted',
    "['insert', 'delete'] as const",
    "['delete'] as const",
    'an element that is inserted while absent was deleted before, and that is intercepted'
  ),
  futureColor(
    'delete is not intercepted',
    "['insert', 'delete'] as const",
    "['insert'] as const",
    'an element that was deleted is absent when it is inserted, and that is intercepted'
  ),
  futureColor(
    'effects of insert lack "if absent"',
    "(await this.contains(x as number)) ? [] : [['insertColor', x, 'blue']]",
    "[['insertColor', x, 'blue']]"
  ),
  pastInt('insert lacks "if absent"', 'if (!(await this.contains(x))) ', ''),
  pastInt('insert has it the wrong way round', '!(await this.contains(x))', 'await this.contains(x)'),
  pastInt('insert makes elements red', "'blue'", "'red'"),
  pastInt('insert swaps its arguments', "insertColor(x, 'blue')", "insertColor('blue' as never, x as never)"),
  pastInt('insert always inserts the first element', "insertColor(x, 'blue')", "insertColor(1, 'blue')"),
  pastInt('insert is concurrent', "{ insert: 'mutator'", "{ insert: { kind: 'mutator', concurrent: true }"),
  pastInt(
    'delete does nothing',
    'return this.context.delegate.delete(x)',
    'return Promise.resolve(x).then(() => undefined)'
  ),
  pastInt(
    'delete answers something',
    'return this.context.delegate.delete(x)',
    'return this.context.delegate.delete(x).then(() => true)'
  ),
  pastInt('contains is always true', 'return this.context.delegate.contains(x)', 'return Promise.resolve(x > 0)'),
  pastInt('contains is cached', contains, cached('contains', 'boolean', 'await this.context.delegate.contains(x)')),
  colorTransform('the table is not used', 'context.future?.state.get(`color/${x}`) ?? ', ''),
  colorTransform('another default', "?? 'blue'", "?? 'red'"),
  colorTransform('another key of the table', '`color/${x}`', '`colors/${x}`'),
  colorTransform(
    'elements are lost',
    'context.new.state.put(key(x as number), [x, color])',
    'void key(color as never)'
  ),
  colorTransform('the first element is lost', 'context.new.state.put(', 'if (index > 0) context.new.state.put('),
  colorTransform('all but the first are lost', 'context.new.state.put(', 'if (index === 0) context.new.state.put('),
  colorTransform('element and colour are swapped', '[x, color]', '[color, x]'),
  colorTransform(
    'it goes on where its last attempt in this process ended',
    'export default function transform(context: TransformContext): void {',
    'let done = 0\nexport default function transform(context: TransformContext): void {\n  if (done++ > 0) return'
  ),
  colorTransform(
    'it counts its attempts into the state',
    'export default function transform(context: TransformContext): void {',
    "let attempts = 0\nexport default function transform(context: TransformContext): void {\n  context.new.state.put('attempt', ++attempts)"
  ),
  colorTransform(
    'it empties its input',
    'context.progress(',
    'context.old.state.delete(key(x as number))\n    context.progress(',
    'its input is a private copy, and a rerun has a fresh one (L3)'
  )
]

const flavors: Mutant[] = [
  futureFlavor('insertFlavor forgets the table', 'this.context.state.put(`flavor/${x}`, flavor)', 'void flavor'),
  futureFlavor('insertFlavor lacks "if absent"', 'if (!(await this.contains(x))) await', 'await'),
  futureFlavor('insertFlavor makes elements red', "insertColor(x, 'blue')", "insertColor(x, 'red')"),
  futureFlavor('insertFlavor takes the flavour for a colour', "insertColor(x, 'blue')", 'insertColor(x, flavor)'),
  futureFlavor(
    'insertFlavor puts the flavour of absent elements only',
    'this.context.state.put(`flavor/${x}`, flavor)\n    if (!(await this.contains(x))) await',
    'if (await this.contains(x)) return\n    this.context.state.put(`flavor/${x}`, flavor)\n    await'
  ),
  futureFlavor('delete leaves the flavour', 'this.context.state.delete(`flavor/${x}`)\n', '\n'),
  futureFlavor('delete forgets the object', 'await this.context.delegate.delete(x)', ''),
  futureFlavor('getFlavor answers for absent elements', 'if (!(await this.contains(x))) return null', ''),
  futureFlavor('getFlavor has another default', "?? 'plain'", "?? 'mint'"),
  futureFlavor('the interception does nothing', 'return [{ delete: `flavor/${x}` }]', 'return x === null ? [] : []'),
  futureFlavor('nothing is intercepted', "['delete'] as const", '[] as const'),
  pastColor('insertColor forgets the table', 'this.context.state.put(`color/${x}`, color)', 'void color'),
  pastColor('insertColor lacks "if absent"', 'if (!(await this.contains(x))) await', 'await'),
  pastColor('insertColor makes elements mint', "insertFlavor(x, 'plain')", "insertFlavor(x, 'mint')"),
  pastColor('delete leaves the colour', 'this.context.state.delete(`color/${x}`)\n', '\n'),
  pastColor('delete forgets the object', 'await this.context.delegate.delete(x)', ''),
  pastColor('getColor answers for absent elements', 'if (!(await this.contains(x))) return null', ''),
  pastColor('getColor has another default', "?? 'blue'", "?? 'red'"),
  pastColor('the interception does nothing', 'return [{ delete: `color/${x}` }]', 'return x === null ? [] : []'),
  pastColor(
    'getColor is cached',
    "async getColor(x: number) {\n    if (!(await this.contains(x))) return null\n    return this.context.state.get(`color/${x}`) ?? 'blue'\n  }",
    cached(
      'getColor',
      'string | null',
      "(await this.contains(x)) ? ((this.context.state.get(`color/${x}`) as string) ?? 'blue') : null"
    )
  ),
  flavorTransform('no colours for the past SO', 'context.past.state.put(`color/${x}`, color)', 'void color'),
  flavorTransform('the flavours are not used', 'context.future?.state.get(`flavor/${x}`) ?? ', ''),
  flavorTransform('another default', "?? 'plain'", "?? 'mint'"),
  flavorTransform('colours are taken for flavours', '[x, flavor]', '[x, color]'),
  flavorTransform('flavours are taken for colours', 'put(`color/${x}`, color)', 'put(`color/${x}`, flavor)'),
  flavorTransform('the colour of one element for all', 'put(`color/${x}`, color)', 'put(`color/1`, color)')
]

const grown: Mutant[] = [
  futureInt('insert leaves the mark of a deletion', 'this.context.state.delete(`deleted/${x}`)\n', '\n'),
  futureInt('insert forgets the object', 'await this.context.delegate.insert(x)', ''),
  futureInt('delete marks nothing', 'this.context.state.put(`deleted/${x}`, x)', 'void x'),
  futureInt(
    'delete marks absent elements, too',
    'if (await this.context.delegate.contains(x)) ',
    '',
    'any insertion clears the mark, and the TF looks at marks of elements that are there only'
  ),
  futureInt('contains does not look at the marks', 'this.context.state.get(`deleted/${x}`) === undefined && ', ''),
  futureInt('the interception does nothing', 'return [{ delete: `deleted/${x}` }]', 'return x === null ? [] : []'),
  futureInt('nothing is intercepted', "readonly string[] = ['insert']", 'readonly string[] = []'),
  pastGrow('the interception marks absent elements, too', 'isThere ?', 'isThere !== null ?'),
  pastGrow('the interception marks absent elements only', 'isThere ?', '!isThere ?'),
  pastGrow('the interception swaps key and value', 'put: [`deleted/${x}`, x]', 'put: [`${x}`, `deleted/${x}`]'),
  pastGrow('nothing is intercepted', "readonly string[] = ['delete']", 'readonly string[] = []'),
  pastGrow('contains does not look at the marks', 'this.context.state.get(`deleted/${x}`) !== undefined || ', ''),
  pastGrow('contains looks at the marks only', ' || (await this.context.delegate.contains(x))', ''),
  pastGrow(
    'insert does nothing',
    'return this.context.delegate.insert(x)',
    'return Promise.resolve(x).then(() => undefined)'
  ),
  growTransform('nothing is handed on to the past SO', 'else context.past.state.put(`deleted/${x}`, x)', ''),
  growTransform(
    'deleted elements come back',
    'else context.past',
    'context.new.state.put(key(x), x)\n    context.past'
  ),
  growTransform('it has it the wrong way round', '=== undefined', '!== undefined'),
  growTransform(
    'what is deleted is marked, and all others, too',
    'else context.past',
    'context.past',
    'the past SO looks at the object as well, and what is there once was inserted'
  )
]

export const mutants: readonly Mutant[] = [...colors, ...flavors, ...grown]
