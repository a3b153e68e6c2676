/** The text of a Dockerfile, kept to draw the place of an error. */
export interface DockerfileSource {
  /** As the user named it: `Dockerfile`, `build/app.dockerfile`, `-`. */
  readonly name: string
  readonly text: string
}

/** Lines of a Dockerfile, both inclusive, counted from 1. */
export interface SourceSpan {
  readonly source: DockerfileSource
  readonly startLine: number
  readonly endLine: number
}

/** Makes the place of lines, both inclusive, counted from 1. */
export type PlaceLines = (startLine: number, endLine: number) => SourceSpan
