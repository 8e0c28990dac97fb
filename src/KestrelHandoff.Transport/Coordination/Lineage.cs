namespace KestrelHandoff.Transport.Coordination;

/// <summary>
/// The instances that have left their place to this one and still serve what they have: the predecessor, those before it, and successors that were
/// rolled back. Each tells over its line, and passes on what it is told.
/// </summary>
internal sealed class Lineage(TimeProvider time)
{
    private readonly Lock _sync = new();
    private readonly List<Member> _members = [];
    private HandoffDrainingInstance? _lastRetired;
    private TaskCompletionSource? _none;

    /// <summary>Nearest first.</summary>
    public IReadOnlyList<HandoffDrainingInstance> Draining
    {
        get
        {
            lock (_sync)
            {
                return [.. _members.SelectMany(member => member.Instances)];
            }
        }
    }

    /// <summary>The last one that has gone, as it was then.</summary>
    public HandoffDrainingInstance? LastRetired
    {
        get
        {
            lock (_sync)
            {
                return _lastRetired;
            }
        }
    }

    /// <summary>From here on it counts; <see cref="Remove"/> when its line has ended.</summary>
    public Member Add(int processId, int generation)
    {
        var member = new Member([new HandoffDrainingInstance(processId, generation, time.GetUtcNow())]);
        lock (_sync)
        {
            _members.Add(member);
        }

        return member;
    }

    /// <summary>What it says of itself, and of those before it.</summary>
    public void Update(Member member, IReadOnlyList<HandoffDrainingInstance> instances)
    {
        lock (_sync)
        {
            member.Instances = instances;
        }
    }

    /// <param name="member">It drains no more.</param>
    /// <param name="hasRetired">It has gone; otherwise it serves again.</param>
    public void Remove(Member member, bool hasRetired)
    {
        TaskCompletionSource? none = null;
        lock (_sync)
        {
            _members.Remove(member);
            if (hasRetired && member.Instances is [var last, ..])
            {
                _lastRetired = last with { RetiredAt = time.GetUtcNow() };
            }

            if (_members.Count == 0)
            {
                (none, _none) = (_none, null);
            }
        }

        none?.SetResult();
    }

    /// <summary>Returns when none is left.</summary>
    public Task WhenNone()
    {
        lock (_sync)
        {
            return _members.Count == 0
                ? Task.CompletedTask
                : (_none ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;
        }
    }

    /// <summary>One that speaks to this instance over a line of its own.</summary>
    internal sealed class Member(IReadOnlyList<HandoffDrainingInstance> instances)
    {
        /// <summary>Itself, and those that it hears of.</summary>
        public IReadOnlyList<HandoffDrainingInstance> Instances { get; set; } = instances;
    }
}
