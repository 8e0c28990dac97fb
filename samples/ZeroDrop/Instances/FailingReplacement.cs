using ZeroDrop.Load;

namespace ZeroDrop.Instances;

/// <summary>Every second handoff is made to fail, by a signal to the successor; that it fails as it should is then the success.</summary>
internal sealed class FailingReplacement(AdminClient admin, HandoffReplacement ordinary, IdleConnections idle) : IReplacement
{
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(10); // the shortest phase takes a hundred and more

    public Instance? Serving => ordinary.Serving;

    public async Task<ReplacementRecord> ReplaceAsync(int number, ProcessFacts? facts, CancellationToken cancel)
    {
        if (Fault.Of(number) is not { } fault)
        {
            return await ordinary.ReplaceAsync(number, facts, cancel);
        }

        // Opened before the handoff: it stays with the predecessor, where new connections go to the successor once that is on probation.
        using var kept = admin.Connect();
        await admin.PhaseAsync(kept).WaitAsync(cancel);
        var predecessor = Serving!.ProcessId;
        var earlier = ProcessTable.ChildrenOf(predecessor); // one that was rolled back may still be draining
        var replacing = ordinary.ReplaceAsync(number, facts, cancel);
        var phase = await InjectAsync(fault, kept, () => ProcessTable.ChildrenOf(predecessor).Except(earlier), replacing, cancel);
        return Judge(await replacing, fault, phase);
    }

    /// <returns>The phase in which the successor got the signal; null when it was never seen in one that is right.</returns>
    private async Task<string?> InjectAsync(
        Fault fault, HttpConnection kept, Func<IEnumerable<int>> successors, Task replacing, CancellationToken cancel)
    {
        while (!replacing.IsCompleted)
        {
            var phase = await admin.PhaseAsync(kept).WaitAsync(cancel);
            if (fault.IsDue(phase) && successors().FirstOrDefault() is > 0 and var successor)
            {
                if (fault.HasClients)
                {
                    await idle.RenewAsync().WaitAsync(cancel); // now the successor has connections to give back
                }

                await ProcessTable.SignalAsync(fault.Signal, [successor]);
                return phase;
            }

            await Task.WhenAny(replacing, Task.Delay(Look, cancel));
        }

        return null;
    }

    private static ReplacementRecord Judge(ReplacementRecord record, Fault fault, string? phase)
    {
        var injected = $"SIG{fault.Signal} in {phase ?? fault.From}";
        var isExpected = phase is not null && record.Answer is { Status: 502 or 504 } answer && answer.Outcome == fault.Outcome;
        var seen = $"{record.Answer?.Outcome ?? "no outcome"}, {record.Error ?? "status 200"}";
        return record with
        {
            Injected = injected,
            Error = isExpected ? null : $"{injected}{(phase is null ? ", which came too late" : "")}: {fault.Outcome} was expected, not {seen}",
        };
    }
}
