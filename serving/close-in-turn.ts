/**
 * Closes what was opened, the last first, and empties the list. One that fails does not keep the others open.
 * @throws the first failure, once all have been told to close
 */
export async function closeInTurn(opened: (() => unknown)[]): Promise<void> {
  const failures: unknown[] = [];
  for (const close of opened.splice(0).reverse())
    try {
      await close();
    } catch (error) {
      failures.push(error);
    }
  if (failures.length > 0) throw failures[0];
}
