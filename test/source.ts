/**
 * Blanks the comments and the contents of strings in TypeScript source, keeping every line and column, so that a
 * pattern meets code only. It knows strings, templates with nested code, comments, and regular expressions after a
 * token that cannot end an expression; that is enough for this code base, and its own test says so.
 */
export const blank = (text: string): string => {
  const out = text.split('')
  /** Brace depth at which each open template continues. */
  const templates: number[] = []
  let depth = 0
  let at = 0
  /** The last character of code, to tell a division from a regular expression. */
  let before = ''

  const erase = (until: number) => {
    for (; at < until; at++) if (out[at] !== '\n') out[at] = ' '
  }
  /** Erases up to the end of a template's literal part; what follows is code again if it ended at `${`. */
  const template = () => {
    let end = at
    while (end < text.length && text[end] !== '`' && !text.startsWith('${', end)) end += text[end] === '\\' ? 2 : 1
    erase(end)
    if (text[at] === '`') at++
    else {
      templates.push(depth++)
      at += 2
    }
    before = ')'
  }

  while (at < text.length) {
    const character = text[at] ?? ''
    if (text.startsWith('//', at)) erase(endOf(text, '\n', at))
    else if (text.startsWith('/*', at)) erase(endOf(text, '*/', at + 2) + 2)
    else if (character === "'" || character === '"') {
      const end = endOfQuoted(text, at)
      at++
      erase(end)
      at++
      before = ')'
    } else if (character === '`') {
      at++
      template()
    } else if (character === '/' && /[=(,:[!&|?{};+\n]|^$/.test(before)) {
      const end = endOfPattern(text, at)
      at++
      erase(end)
      at++
      before = ')'
    } else {
      if (character === '{') depth++
      if (character === '}') depth--
      at++
      if (character === '}' && templates.at(-1) === depth) {
        templates.pop()
        template()
      } else if (/\S/.test(character)) before = character
    }
  }
  return out.join('')
}

const endOf = (text: string, mark: string, from: number): number => {
  const end = text.indexOf(mark, from)
  return end === -1 ? text.length : end
}

const endOfQuoted = (text: string, start: number): number => {
  let end = start + 1
  while (end < text.length && text[end] !== text[start] && text[end] !== '\n') end += text[end] === '\\' ? 2 : 1
  return end
}

const endOfPattern = (text: string, start: number): number => {
  let end = start + 1
  let inSet = false
  while (end < text.length && text[end] !== '\n' && (inSet || text[end] !== '/')) {
    if (text[end] === '[') inSet = true
    if (text[end] === ']') inSet = false
    end += text[end] === '\\' ? 2 : 1
  }
  return end
}
