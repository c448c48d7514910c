export function subjectProblem(subject: string): string | undefined
export function checkSubjects(base: string, cwd?: string): { readonly problem?: string; readonly unchecked?: string }
