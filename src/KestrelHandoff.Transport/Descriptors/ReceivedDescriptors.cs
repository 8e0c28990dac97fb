using System.Collections;

namespace KestrelHandoff.Transport;

/// <summary>What one receive brought: a count of bytes, and the descriptors that came with them, in the sender's order.</summary>
/// <remarks>Disposing closes every descriptor that was not taken.</remarks>
public sealed class ReceivedDescriptors : IReadOnlyList<DescriptorHandle>, IDisposable
{
    private readonly List<DescriptorHandle> _descriptors;

    internal ReceivedDescriptors(int bytesReceived, List<DescriptorHandle> descriptors)
    {
        BytesReceived = bytesReceived;
        _descriptors = descriptors;
    }

    /// <summary>How many bytes were written to the buffer.</summary>
    /// <value>0 when the peer closed its end; on a datagram or sequenced-packet socket also for an empty message.</value>
    public int BytesReceived { get; }

    /// <summary>How many descriptors came.</summary>
    /// <value>0 to 253.</value>
    public int Count => _descriptors.Count;

    /// <summary>The descriptor at a place in the sender's order.</summary>
    /// <param name="index">0 to <see cref="Count"/> - 1.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such place.</exception>
    public DescriptorHandle this[int index] => _descriptors[index];

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var descriptor in _descriptors)
        {
            descriptor.Dispose();
        }
    }

    /// <inheritdoc/>
    public IEnumerator<DescriptorHandle> GetEnumerator() => _descriptors.GetEnumerator();

    /// <inheritdoc/>
    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}
