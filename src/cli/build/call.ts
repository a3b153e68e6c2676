/** `--call`: what is asked of a Dockerfile instead of a build of it. The JSON has the keys of buildx. */
import { basename } from 'node:path'
import type { BuildDeps, BuildOptions, BuildWarning } from '../../builder/build-options.ts'
import type { CheckResult } from '../../builder/check.ts'
import type { Outline, OutlineMount } from '../../builder/describe/outline.ts'
import type { TargetDescription } from '../../builder/describe/targets.ts'
import type { DockerfileSource, SourceSpan } from '../../builder/dockerfile/source.ts'
import { BuildError } from '../../builder/errors.ts'
import type { Arguments } from '../arguments.ts'
import { annotateWarnings } from '../ci/annotations.ts'
import type { OptionSpecs, Refuse } from '../command.ts'
import type { Terminal } from '../terminal.ts'
import { formatTable } from '../text/table.ts'
import { describeRule, ruleURL } from './lint-rules.ts'
import { formatWarnings } from './summary.ts'

const METHODS = ['build', 'check', 'outline', 'targets'] as const

export const CALL_OPTIONS: OptionSpecs = {
  call: {
    value: 'METHOD[,format=json]',
    help: 'Tell of the Dockerfile instead: check, outline, targets',
  },
  check: { help: 'Print the warnings that the Dockerfile gives; short for --call=check' },
}

export interface Call {
  readonly method: Exclude<(typeof METHODS)[number], 'build'>
  readonly json: boolean
}

/** Undefined for a build. */
export function readCall(args: Arguments, refuse: Refuse): Call | undefined {
  const given = args.value('call')
  if (args.flag('check') && given !== undefined) throw refuse('--check is short for --call=check: give one')
  const [name = 'build', ...fields] = (args.flag('check') ? 'check' : (given ?? 'build')).split(',')
  const method = METHODS.find(known => known === (name === 'lint' ? 'check' : name))
  if (name.startsWith('subrequests.'))
    throw refuse(
      `--call=${name} asks a frontend what it can be asked, and ours is built in: ${METHODS.join(', ')}`,
    )
  if (method === undefined) throw refuse(`--call is ${METHODS.join(', ')}, not ${JSON.stringify(name)}`)
  const formats = fields.map(field => {
    const format = /^format=(json|text)$/.exec(field)?.[1]
    if (format === undefined)
      throw refuse(`--call=${name} takes format=json or format=text, not ${JSON.stringify(field)}`)
    return format
  })
  return method === 'build' ? undefined : { method, json: formats.at(-1) === 'json' }
}

/** @throws BuildError `check-failed` when there is anything to warn of */
export async function answerCall(
  { method, json }: Call,
  options: BuildOptions,
  deps: BuildDeps,
  terminal: Terminal,
): Promise<void> {
  const { stdout } = terminal
  if (method === 'check')
    return json ? checkAsJson(options, deps, stdout) : checkAsText(options, deps, terminal)
  const { parseDockerfile } = await import('../../builder/dockerfile/parse.ts')
  const dockerfile = parseDockerfile(options.dockerfile)
  if (method === 'targets') {
    const { describeTargets } = await import('../../builder/describe/targets.ts')
    const targets = describeTargets(dockerfile)
    stdout.write(json ? formatJson(targetsJson(targets, options.dockerfile)) : formatTargets(targets))
    return
  }
  const { describeOutline } = await import('../../builder/describe/outline.ts')
  const platform = options.platforms[0] ?? deps.hostPlatform
  const outline = describeOutline(dockerfile, { ...options, platform, hostPlatform: deps.hostPlatform })
  stdout.write(json ? formatJson(outlineJson(outline, options.dockerfile)) : formatOutline(outline))
}

async function checkAsText(options: BuildOptions, deps: BuildDeps, terminal: Terminal): Promise<void> {
  const { check } = await import('../../builder/check.ts')
  const { warnings } = await check(options, deps)
  const text = warnings.length === 0 ? 'No warnings.\n' : formatWarnings(warnings)
  terminal.stdout.write(terminal.workflow?.shown(text) ?? text)
  annotateWarnings(warnings, terminal)
  failOn(warnings)
}

/** A Dockerfile that cannot be read is told of in the JSON too. */
async function checkAsJson(
  options: BuildOptions,
  deps: BuildDeps,
  stdout: Terminal['stdout'],
): Promise<void> {
  const { check } = await import('../../builder/check.ts')
  const { name, text } = options.dockerfile
  const sources = [
    { filename: basename(name), data: Buffer.from(text).toString('base64'), language: 'Dockerfile' },
  ]
  let result: CheckResult
  try {
    result = await check(options, deps)
  } catch (error) {
    if (!(error instanceof BuildError)) throw error
    const { message, span } = error
    const buildError = { message, ...(span !== undefined && { location: location(span) }) }
    stdout.write(formatJson({ warnings: null, sources, buildError }))
    throw error
  }
  const { warnings } = result
  const rows = warnings.map(({ rule = '', text: detail, span }) => ({
    ruleName: rule,
    description: describeRule(rule),
    ...(rule !== '' && { url: ruleURL(rule) }),
    detail,
    ...(span !== undefined && { location: location(span) }),
  }))
  const buildError = lintError(result)
  stdout.write(
    formatJson({ warnings: rows.length === 0 ? null : rows, sources, ...(buildError && { buildError }) }),
  )
  failOn(warnings)
}

/** Why there would be no build. */
export function lintError({ warnings, failsOnWarnings }: CheckResult): object | undefined {
  const rules = new Set(warnings.flatMap(({ rule }) => rule ?? []))
  if (!failsOnWarnings || rules.size === 0) return undefined
  return { message: `check=error=true, and there are warnings of: ${[...rules].join(', ')}`, location: {} }
}

function failOn(warnings: readonly BuildWarning[]): void {
  if (warnings.length === 0) return
  throw new BuildError(
    'check-failed',
    `Cannot pass the check: ${warnings.length === 1 ? 'there is a warning' : `there are ${warnings.length} warnings`}`,
  )
}

function formatTargets(targets: readonly TargetDescription[]): string {
  const rows = targets.map(({ name = '', isDefault, description = '' }) => [
    isDefault ? `${name} (default)`.trim() : name,
    description,
  ])
  return formatTable(['TARGET', 'DESCRIPTION'], rows)
}

function targetsJson(targets: readonly TargetDescription[], source: DockerfileSource): object {
  return {
    targets: targets.map(({ name, isDefault, description, base, platform, span }) => ({
      name,
      ...(isDefault && { default: true }),
      description,
      base,
      platform,
      location: location(span),
    })),
    sources: [encoded(source)],
  }
}

function formatOutline({ name, description, args, secrets, ssh }: Outline): string {
  const head = [
    ...(name === undefined ? [] : [`TARGET:      ${name}\n`]),
    ...(description === undefined ? [] : [`DESCRIPTION: ${description}\n`]),
  ].join('')
  const mounts = (title: string, rows: readonly OutlineMount[]): string[] =>
    rows.length === 0
      ? []
      : [
          formatTable(
            [title, 'REQUIRED'],
            rows.map(({ id, required }) => [id, required ? 'true' : '']),
          ),
        ]
  const argRows = args.map(({ name, value = '', description = '' }) => [name, value, description])
  const parts = [
    ...(head === '' ? [] : [head]),
    ...(args.length === 0 ? [] : [formatTable(['BUILD ARG', 'VALUE', 'DESCRIPTION'], argRows)]),
    ...mounts('SECRET', secrets),
    ...mounts('SSH', ssh),
  ]
  return parts.length === 0 ? 'Nothing can be given to this target.\n' : parts.join('\n')
}

function outlineJson({ name, description, args, secrets, ssh }: Outline, source: DockerfileSource): object {
  const mounts = (rows: readonly OutlineMount[]) =>
    rows.length === 0
      ? undefined
      : rows.map(({ id, required, span }) => ({
          name: id,
          ...(required && { required }),
          location: location(span),
        }))
  return {
    name,
    description,
    args:
      args.length === 0 ? undefined : args.map(({ span, ...arg }) => ({ ...arg, location: location(span) })),
    secrets: mounts(secrets),
    ssh: mounts(ssh),
    sources: [encoded(source)],
  }
}

function location({ startLine, endLine }: SourceSpan): object {
  return { ranges: [{ start: { line: startLine }, end: { line: endLine } }] }
}

function encoded({ text }: DockerfileSource): string {
  return Buffer.from(text).toString('base64')
}

function formatJson(value: object): string {
  return `${JSON.stringify(value, null, 2)}\n`
}
