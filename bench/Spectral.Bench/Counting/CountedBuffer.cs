using System.Reflection;
using System.Runtime.InteropServices;
using Spectral.Kernels;

namespace Spectral.Bench.Counting;

/// <summary>What a launch does to a buffer that a parameter of its kernel points to.</summary>
/// <param name="Offset">The parameter, as a byte offset; -1 for memory that no parameter points to.</param>
internal sealed record CountedBuffer(int Offset)
{
    private static readonly Lazy<Dictionary<string, Type>> ArgumentTypes = new(() =>
        typeof(KernelEntry)
            .Assembly.GetTypes()
            .Where(type => type.IsValueType && !type.ContainsGenericParameters)
            .SelectMany(type => type.GetFields(BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Static))
            .Where(field => field.FieldType.IsAssignableTo(typeof(KernelEntry)))
            .Select(field => (KernelEntry)field.GetValue(null)!)
            .SelectMany(entry => entry.Names.Select(name => (name, entry.ArgumentType)))
            .ToDictionary()
    );

    /// <summary>Distinct bytes that are read.</summary>
    public long ReadBytes { get; set; }

    /// <summary>Distinct bytes that are written.</summary>
    public long WrittenBytes { get; set; }

    /// <summary>
    /// Bytes of sectors that are read and written again, by how many MiB of others lie between the two uses.
    /// </summary>
    public SortedDictionary<long, (long Read, long Written)> Again { get; } = [];

    /// <summary>Bytes that are read or written again after a cache of this size has lost them.</summary>
    public long BytesBeyond(long cacheBytes) =>
        Again.Where(again => again.Key << 20 >= cacheBytes).Sum(again => again.Value.Read + again.Value.Written);

    /// <summary>
    /// The field of the argument struct, for a kernel of ours; else <c>parameter byte OFFSET</c>.
    /// </summary>
    public string NameIn(string kernel)
    {
        if (Offset < 0)
            return "elsewhere";
        FieldInfo? field = ArgumentTypes.Value.TryGetValue(kernel, out Type? type)
            ? type.GetFields(BindingFlags.Public | BindingFlags.Instance)
                .Where(field => Marshal.OffsetOf(type, field.Name) <= Offset)
                .MaxBy(field => (long)Marshal.OffsetOf(type, field.Name))
            : null;
        return field?.Name ?? $"parameter byte {Offset}";
    }
}
