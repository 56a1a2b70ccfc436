using System.Text;

namespace Spectral.Training.Numerics;

/// <summary>
/// Keys of the counter-based generator: one stream per tensor, so that nothing depends on the order of construction.
/// </summary>
internal static class RandomStream
{
    /// <summary>FNV-1a of a tensor's name, 64 bits.</summary>
    public static ulong For(string name)
    {
        ulong hash = 14695981039346656037UL;
        foreach (byte part in Encoding.UTF8.GetBytes(name))
            hash = (hash ^ part) * 1099511628211UL;
        return hash;
    }
}
