/** Subjects of one policy. */
export const MAX_CLIENT_SUBJECTS = 256
/** Longest subject, in characters. */
export const MAX_CLIENT_SUBJECT_CHARACTERS = 1_024

/** Begins with the name of an attribute, or its number (RFC 4514 section 2.3). */
const SUBJECT = /^(?:[a-z][a-z0-9-]*|\d+(?:\.\d+)+)=/i
/** What `openssl x509 -subject` writes in front of it. */
const LABEL = /^subject=/i

/** Subjects of certificates, each compared as a whole (RFC 4514). */
export class SubjectList {
  readonly #subjects: ReadonlySet<string>

  private constructor(subjects: readonly string[]) {
    this.#subjects = new Set(subjects)
  }

  /** @returns why it can't be, in words that name the subject */
  static of(subjects: readonly string[]): SubjectList | string {
    if (subjects.length > MAX_CLIENT_SUBJECTS) return `at most ${MAX_CLIENT_SUBJECTS} subjects`
    for (const subject of subjects) {
      if (subject.length > MAX_CLIENT_SUBJECT_CHARACTERS) {
        return `a subject has at most ${MAX_CLIENT_SUBJECT_CHARACTERS} characters`
      }
      if (LABEL.test(subject)) return `'${subject}': leave out 'subject=', which openssl writes before the subject`
      if (!SUBJECT.test(subject)) return `'${subject}' is no subject such as CN=ann,O=Example`
    }
    return new SubjectList(subjects)
  }

  /** @param subject of a client; `undefined`: it has no certificate */
  has(subject: string | undefined): boolean {
    return subject !== undefined && this.#subjects.has(subject)
  }
}
