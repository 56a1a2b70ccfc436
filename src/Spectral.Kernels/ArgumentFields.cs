using System.Diagnostics.CodeAnalysis;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Spectral.Kernels;

/// <summary>Compares argument structs with the parameters of kernels.</summary>
internal static unsafe class ArgumentFields
{
    /// <summary>Members of an argument struct that the comparison reads.</summary>
    public const DynamicallyAccessedMemberTypes Needed =
        DynamicallyAccessedMemberTypes.PublicFields
        | DynamicallyAccessedMemberTypes.NonPublicFields
        | DynamicallyAccessedMemberTypes.PublicConstructors
        | DynamicallyAccessedMemberTypes.NonPublicConstructors; // Marshal.OffsetOf asks for the constructors

    /// <summary>
    /// Checks that the struct is as large as the kernel's only parameter, or has a field for each parameter, in its
    /// place and of its size. Without <see cref="Kernel.Parameters"/> nothing is checked.
    /// </summary>
    /// <exception cref="ArgumentException">The struct does not fit the kernel's parameters.</exception>
    public static void Check<[DynamicallyAccessedMembers(Needed)] TArgs>(Kernel kernel)
        where TArgs : unmanaged
    {
        if (kernel.Parameters is not { } parameters)
            return;
        string name = typeof(TArgs).Name;
        if (parameters.Count == 1)
        {
            if (sizeof(TArgs) == parameters[0].Bytes)
                return;
            throw new ArgumentException(
                $"kernel {kernel.Name} takes {parameters[0].Bytes} bytes of arguments, {name} has {sizeof(TArgs)}"
            );
        }

        KernelParameter[]? fields = Of<TArgs>(out string found);
        if (fields is null || !fields.SequenceEqual(parameters))
        {
            string expected = parameters.Count == 0 ? "none" : string.Join(", ", parameters);
            throw new ArgumentException(
                $"kernel {kernel.Name} takes {parameters.Count} parameters, {kernel.ArgumentBytes} bytes in all "
                    + $"({expected}); {name} has {sizeof(TArgs)} bytes ({found}), expected one field for each parameter"
            );
        }
    }

    // In the order of their offsets; null if these cannot be known.
    private static KernelParameter[]? Of<[DynamicallyAccessedMembers(Needed)] TArgs>(out string found)
        where TArgs : unmanaged
    {
        FieldInfo[] fields = typeof(TArgs).GetFields(
            BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic
        );
        // The runtime tells the offsets of a field only as it would marshal it.
        if (
            typeof(TArgs).IsAutoLayout
            || typeof(TArgs).IsGenericType
            || fields.Any(field => field.FieldType == typeof(bool) || field.FieldType == typeof(char))
        )
        {
            found = "a layout that only the runtime knows: it is generic or automatic, or has a bool or char";
            return null;
        }

        (string Name, KernelParameter Place)[] places =
        [
            .. fields.Select(field => (field.Name, Place<TArgs>(field))).OrderBy(field => field.Item2.Offset),
        ];
        found = string.Join(", ", places.Select(field => $"{field.Name}: {field.Place}"));
        return [.. places.Select(field => field.Place)];
    }

    private static KernelParameter Place<[DynamicallyAccessedMembers(Needed)] TArgs>(FieldInfo field) =>
        new((int)Marshal.OffsetOf<TArgs>(field.Name), RuntimeHelpers.SizeOf(field.FieldType.TypeHandle));
}
