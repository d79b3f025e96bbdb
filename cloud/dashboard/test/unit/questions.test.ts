import { describe, expect, it } from "vitest";
import { Questions } from "../../src/lib/questions";

const asked = (questions: Questions, takenBack = new AbortController()) => {
  const shown: { answer?: (result: string) => void; over?: AbortSignal } = {};
  const answered = questions.put<string>(takenBack.signal, (answer, over) => Object.assign(shown, { answer, over }));
  return { shown, answered, takenBack };
};
// A call that ends when it is told to.
function called(questions: Questions) {
  let end: () => void = () => {};
  const done = questions.during(() => new Promise<void>((resolve) => (end = resolve)));
  return async () => (end(), done);
}

describe("a question of a server", () => {
  it("is answered once, and is then over for nobody", async () => {
    const questions = new Questions();
    const end = called(questions);
    const { shown, answered, takenBack } = asked(questions);
    shown.answer!("42");
    expect(await answered).toBe("42");
    takenBack.abort();
    await end();
    expect(shown.over!.aborted).toBe(false);
  });
  it("is over when the server takes it back, and not put when it has already", async () => {
    const questions = new Questions();
    const { shown, answered, takenBack } = asked(questions);
    takenBack.abort();
    expect(await answered).toBeUndefined();
    expect(shown.over!.aborted).toBe(true);
    const late = asked(questions, takenBack);
    expect(await late.answered).toBeUndefined();
    expect(late.shown.over).toBeUndefined();
  });
  it("is over with the last call, also one that fails; one that came without a call is not", async () => {
    const questions = new Questions();
    const alone = asked(questions);
    const [first, second] = [called(questions), called(questions)];
    const { shown, answered } = asked(questions);
    await first();
    expect(shown.over!.aborted).toBe(false);
    await second();
    expect(await answered).toBeUndefined();
    expect(shown.over!.aborted).toBe(true);
    expect(alone.shown.over!.aborted).toBe(false);
    await expect(questions.during(() => Promise.reject(new Error("no")))).rejects.toThrow("no");
  });
});
