/** What the programs of `--isolation=chroot` tell each other; all of it passes through sockets, nothing through a disk. */

/** One line of JSON for the program that watches over a step. */
export interface StepPlan {
  /** Absolute path of the program that becomes the step. */
  readonly launcher: string
  readonly launch: LaunchPlan
  /** In the order in which they were made. */
  readonly placements: readonly Placement[]
  /** Absolute path of a directory for what was placed and nobody keeps. */
  readonly trash: string
  readonly isInteractive: boolean
}

/** For the program that becomes the step. */
export interface LaunchPlan {
  /** Absolute path of the root filesystem. */
  readonly root: string
  readonly args: readonly string[]
  /** `NAME=value` */
  readonly env: readonly string[]
  readonly cwd: string
  readonly user: { readonly uid: number; readonly gid: number; readonly additionalGids: readonly number[] }
  /** Numbers of the capabilities that it may have; absent, those that we have. */
  readonly capabilities?: readonly number[]
  readonly ulimits: readonly {
    readonly name: string
    readonly soft?: number
    readonly hard?: number
  }[]
}

/** Something that lies in the root filesystem in the place of what is there, where a container would mount it. */
export interface Placement {
  /** Absolute path on this machine, without symlinks as long as the step does not run. */
  readonly parent: string
  readonly name: string
  /** Where that lies meanwhile for which it stands. */
  readonly aside: string
  /** Where it goes back to; absent, it goes to the trash. */
  readonly home?: string
  /** A file that is emptied afterwards, under all the names that the step has given it: it may be a secret. */
  readonly isEmptied?: true
}

/** How a step ended; one line of JSON. */
export type StepEnd = { readonly exitCode: number } | { readonly problem: string }
