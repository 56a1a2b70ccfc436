using Spectral.Kernels;

namespace Spectral.Training.Optim;

/// <summary>Elements of a parameter that have moved within it, such as the entries of a sparse mask.</summary>
/// <param name="Parameter">The parameter.</param>
/// <param name="Index">Its index in the set.</param>
/// <param name="From">For each element its former index in the parameter, or −1 if it is new.</param>
internal sealed record MovedElements(Parameter Parameter, int Index, IReadOnlyList<int> From)
{
    /// <summary>Moves state that has one number per element. It passes through the host.</summary>
    /// <param name="state">The state, F32, as many numbers as the parameter has elements.</param>
    /// <param name="ofNew">Returns the state of a new element by its index; null: 0.</param>
    public void Apply(Tensor state, Func<int, float>? ofNew = null)
    {
        float[] before = state.ToArray();
        float[] after = new float[before.Length];
        for (int k = 0; k < after.Length; k++)
            after[k] = From[k] >= 0 ? before[From[k]] : ofNew?.Invoke(k) ?? 0;
        state.CopyFrom(after);
    }
}
