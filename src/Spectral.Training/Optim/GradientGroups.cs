using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Optim;

/// <summary>Clips the gradients of each group by the group's own norm, before the optimizer reads them.</summary>
internal sealed class GradientGroups : IDisposable
{
    private readonly IReadOnlyList<(string Name, double MaxNorm, int[] Members)> _groups;
    private readonly ParameterSet _parameters;
    private readonly Tensor _norms;

    /// <summary>Allocates one norm for each group.</summary>
    /// <param name="groups">The groups, as <see cref="ClipGroups.Of"/> returns them.</param>
    /// <param name="parameters">The parameters, whose gradients are allocated.</param>
    public GradientGroups(IReadOnlyList<(string Name, double MaxNorm, int[] Members)> groups, ParameterSet parameters)
    {
        (_groups, _parameters) = (groups, parameters);
        _norms = Tensor.Zeros(parameters.Device, groups.Count);
    }

    /// <summary>Launches norms and scaling of all groups. What is not finite stays so.</summary>
    public void Clip()
    {
        for (int i = 0; i < _groups.Count; i++)
        {
            (_, double most, int[] members) = _groups[i];
            Tensor[] gradients = [.. members.Select(member => _parameters.Parameters[member].Gradient!)];
            using Tensor norm = _norms.Rows(i, 1);
            GlobalNorm.Run(gradients, norm);
            if (most == 0)
                continue;
            foreach (Tensor gradient in gradients)
                ClipNorm.Run(gradient, norm, (float)most);
        }
    }

    /// <summary>Returns the norms of the last step; waits for the device.</summary>
    public IReadOnlyList<GroupNorm> Read() =>
        [.. _groups.Zip(_norms.ToArray(), (group, norm) => new GroupNorm(group.Name, norm, group.MaxNorm))];

    public void Dispose() => _norms.Dispose();
}
