import { parseDuration } from './duration.ts'
import { readFlags } from './flags.ts'
import type { HealthcheckInstruction } from './instructions.ts'
import { invalid } from './invalid.ts'
import { readCommand } from './read-run.ts'
import type { SourceSpan } from './source.ts'
import type { SyntaxNode } from './syntax.ts'
import { splitFirst } from './words.ts'

const FLAGS = {
  interval: 'text',
  timeout: 'text',
  'start-period': 'text',
  'start-interval': 'text',
  retries: 'text',
} as const

const MIN_INTERVAL_NS = 1_000_000
const MAX_RETRIES = 2 ** 31 - 1

/** HEALTHCHECK (semantics 19). */
export function readHealthcheck(node: SyntaxNode): HealthcheckInstruction {
  const { span, original } = node
  const [word, text = ''] = splitFirst(node.rest)
  const type = word.toUpperCase()
  if (type === 'NONE') {
    if (text !== '') throw invalid('Cannot read HEALTHCHECK: NONE takes no arguments', span)
    return { kind: 'healthcheck', test: ['NONE'], span, original }
  }
  if (type !== 'CMD')
    throw invalid(
      `Cannot read HEALTHCHECK: it needs CMD or NONE, got ${JSON.stringify(word)}`,
      span,
      'write "HEALTHCHECK CMD <command>"',
    )
  const test = readTest(text, span)
  const flags = readFlags(node.flags, FLAGS, 'HEALTHCHECK', span)
  const durations = {
    interval: readInterval(flags.interval, 'interval', span),
    timeout: readInterval(flags.timeout, 'timeout', span),
    startPeriod: readInterval(flags['start-period'], 'start-period', span),
    startInterval: readInterval(flags['start-interval'], 'start-interval', span),
    retries: readRetries(flags.retries, span),
  }
  const given = Object.entries(durations).filter(([, value]) => value !== undefined)
  return { kind: 'healthcheck', test, ...Object.fromEntries(given), span, original }
}

function readTest(text: string, span: SourceSpan): HealthcheckInstruction['test'] {
  const command = readCommand(text, span)
  if (command.form === 'exec' && command.args.length > 0) return ['CMD', ...command.args]
  if (command.form === 'shell' && command.script !== '') return ['CMD-SHELL', command.script]
  throw invalid('Cannot read HEALTHCHECK: the command after CMD is missing', span)
}

function readInterval(text: string | undefined, name: string, span: SourceSpan): number | undefined {
  if (text === undefined) return undefined
  const nanoseconds = parseDuration(text)
  if (nanoseconds === undefined)
    throw invalid(
      `Cannot read HEALTHCHECK: --${name} is ${JSON.stringify(text)}, which is not a duration`,
      span,
      'write it like 30s, 1m30s or 500ms',
    )
  if (nanoseconds !== 0 && nanoseconds < MIN_INTERVAL_NS)
    throw invalid(`Cannot read HEALTHCHECK: --${name} is ${text}, want 0 or at least 1ms`, span)
  return nanoseconds
}

function readRetries(text: string | undefined, span: SourceSpan): number | undefined {
  if (text === undefined) return undefined
  if (/^[+-]?\d+$/.test(text) && Number(text) >= 0 && Number(text) <= MAX_RETRIES) return Number(text)
  throw invalid(`Cannot read HEALTHCHECK: --retries is ${JSON.stringify(text)}, want a number from 0`, span)
}
