using System.Text;

namespace Spectral.Training.Numerics;

/// <summary>
/// Derives keys of the counter-based generator. Each tensor has its own stream, so that values do not depend on the
/// order of construction.
/// </summary>
internal static class RandomStream
{
    /// <summary>Returns the stream of a name: its 64-bit FNV-1a hash.</summary>
    public static ulong For(string name)
    {
        ulong hash = 14695981039346656037UL;
        foreach (byte part in Encoding.UTF8.GetBytes(name))
            hash = (hash ^ part) * 1099511628211UL;
        return hash;
    }
}
