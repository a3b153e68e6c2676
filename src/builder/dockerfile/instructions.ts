/**
 * A Dockerfile as typed instructions. Text that names variables is kept as written (quotes, escapes and all):
 * only the plan knows the environment at each line, and expands it there with `expand.ts`.
 */
import type { DockerfileSource, SourceSpan } from './source.ts'

export interface Dockerfile {
  readonly source: DockerfileSource
  readonly directives: Directives
  /** ARG before the first FROM: visible in FROM lines only. */
  readonly metaArgs: readonly ArgInstruction[]
  /** At least one. */
  readonly stages: readonly Stage[]
  readonly warnings: readonly Warning[]
}

/** The character that escapes and continues lines. */
export type Escape = '\\' | '`'

export interface Directives {
  readonly escape: Escape
  /** The frontend that the file asks for; accepted, not used. */
  readonly syntax?: string
  /** What follows `# check=`. */
  readonly check?: string
}

/** A finding of BuildKit's lint rules: the rule's name there, and what is wrong here. */
export interface Warning {
  readonly rule: string
  readonly message: string
  readonly span: SourceSpan
}

export interface Stage {
  readonly index: number
  /** Lower case. */
  readonly name?: string
  /** What follows FROM. Expands with `expandWord` over the global ARGs. */
  readonly base: string
  /** Of `--platform`. Expands like `base`. */
  readonly platform?: string
  readonly span: SourceSpan
  readonly original: string
  readonly instructions: readonly Instruction[]
}

export type Instruction =
  | AddInstruction
  | ArgInstruction
  | CmdInstruction
  | CopyInstruction
  | EntrypointInstruction
  | EnvInstruction
  | ExposeInstruction
  | HealthcheckInstruction
  | LabelInstruction
  | MaintainerInstruction
  | OnbuildInstruction
  | RunInstruction
  | ShellInstruction
  | StopsignalInstruction
  | UserInstruction
  | VolumeInstruction
  | WorkdirInstruction

interface Placed {
  readonly span: SourceSpan
  /** The whole instruction on one line, without continuations, comments and heredoc bodies. */
  readonly original: string
}

/** What to run: `script` goes to the shell in force; `args` are run as they are. */
export type Command =
  | { readonly form: 'shell'; readonly script: string }
  | { readonly form: 'exec'; readonly args: readonly string[] }

/** `file` is a heredoc that begins with `#!`: an executable `/dev/pipes/<name>` to be run, and not part of the result. */
export type RunForm = Command | { readonly form: 'file'; readonly name: string; readonly content: string }

export interface RunInstruction extends Placed {
  readonly kind: 'run'
  readonly command: RunForm
  /** The instruction for people; of a heredoc, its first line in parentheses: `RUN <<EOF (apt-get update...)`. */
  readonly title: string
  /** Values of `--mount`, in order. Read by `parseRunMount`, which expands them. */
  readonly mounts: readonly string[]
  readonly network?: 'default' | 'none' | 'host'
  readonly security?: 'sandbox' | 'insecure'
  /** Values of `--device`. */
  readonly devices: readonly string[]
}

/** A file written in the Dockerfile itself. */
export interface InlineFile {
  /** The heredoc's delimiter, which names the file where the destination is a directory. */
  readonly name: string
  readonly content: string
  /** Whether `expandBody` applies. */
  readonly expand: boolean
}

/** Common to COPY and ADD. All strings but `exclude` and those of `files` expand with `expandWord`. */
interface Transfer extends Placed {
  readonly sources: readonly string[]
  /** Added after `sources`. */
  readonly files: readonly InlineFile[]
  readonly destination: string
  readonly chown?: string
  readonly chmod?: string
  readonly link: boolean
  /** Patterns relative to the source's root, with the syntax of the ignore file; never expanded. */
  readonly exclude: readonly string[]
}

export interface CopyInstruction extends Transfer {
  readonly kind: 'copy'
  /** A stage's name or index, a named context, or an image; never expanded. */
  readonly from?: string
  readonly parents: boolean
}

export interface AddInstruction extends Transfer {
  readonly kind: 'add'
  readonly checksum?: string
  readonly keepGitDir?: boolean
  /** Undefined: unpack local archives, not those of a URL. */
  readonly unpack?: boolean
}

/** Both expand with `expandWord`. */
export interface KeyValue {
  readonly key: string
  readonly value: string
}

export interface EnvInstruction extends Placed {
  readonly kind: 'env'
  readonly pairs: readonly KeyValue[]
}

export interface LabelInstruction extends Placed {
  readonly kind: 'label'
  readonly pairs: readonly KeyValue[]
}

export interface ArgInstruction extends Placed {
  readonly kind: 'arg'
  /** The value expands with `expandWord`, the name never; without a value the ARG is declared, not set. */
  readonly args: readonly { readonly key: string; readonly value?: string }[]
}

export interface WorkdirInstruction extends Placed {
  readonly kind: 'workdir'
  readonly path: string
}

export interface UserInstruction extends Placed {
  readonly kind: 'user'
  readonly user: string
}

export interface ExposeInstruction extends Placed {
  readonly kind: 'expose'
  /** Sorted. Each expands with `expandWords`, then goes to `parsePorts`. */
  readonly ports: readonly string[]
}

export interface VolumeInstruction extends Placed {
  readonly kind: 'volume'
  /** Each expands with `expandWord`, in the JSON form too. */
  readonly paths: readonly string[]
}

export interface EntrypointInstruction extends Placed {
  readonly kind: 'entrypoint'
  /** An empty list of arguments takes the entrypoint away. */
  readonly command: Command
}

export interface CmdInstruction extends Placed {
  readonly kind: 'cmd'
  readonly command: Command
}

export interface ShellInstruction extends Placed {
  readonly kind: 'shell'
  /** At least one. */
  readonly args: readonly string[]
}

export interface StopsignalInstruction extends Placed {
  readonly kind: 'stopsignal'
  /** Expands with `expandWord`, then goes to `checkSignal`. */
  readonly signal: string
}

export interface HealthcheckInstruction extends Placed {
  readonly kind: 'healthcheck'
  /** As it goes into the config; final. */
  readonly test: readonly ['NONE'] | readonly ['CMD' | 'CMD-SHELL', ...string[]]
  /** Nanoseconds; absent or 0 means inherited. */
  readonly interval?: number
  readonly timeout?: number
  readonly startPeriod?: number
  readonly startInterval?: number
  readonly retries?: number
}

export interface OnbuildInstruction extends Placed {
  readonly kind: 'onbuild'
  /** As stored in the config, heredocs included; read back by `parseOnbuildTrigger`. */
  readonly expression: string
}

export interface MaintainerInstruction extends Placed {
  readonly kind: 'maintainer'
  readonly name: string
}
