"""Estimators, policies and exact checks of *Policy Gradients, Executed*.

Shared rooms, which any chapter may open:

    mdp             exact values and every trajectory of a small MDP
    environments    small Gymnasium environments with known answers
    policies        softmax tables, categorical networks, Gaussians; a critic
    trajectories    the record of what happened, and how it is collected
    verification    the only way in which a chapter checks a claim
    reporting       numbers for the prose
    statistics      means with intervals, bootstrap
    experiments     seeds in a loop, results as files
    plotting        the few pictures every chapter draws
    slider          a figure that moves

One room per chapter, in the order of the book:

    objective               returns of trajectories, and what is maximized
    monte_carlo             sample means and Riemann sums
    score_function          three ways to differentiate an expectation
    trajectory_probability  log p(tau), its parts and its score
    reinforce               the loss, its weights, and batches enumerated
    returns                 rewards-to-go, and what discounting does to them
    baselines               what is subtracted from a return
    policy_gradient_theorem state distributions, action values, and their gradient
    advantages              n-step and lambda-returns, generalized advantages
    actor_critic            what a critic's error does, and the loss of a stream
    off_policy              what another policy's data are worth
    natural_gradient        steps measured by what they do to the policy
    gaussian_policies       continuous actions, and their limits
    trust_region            how far a surrogate can be trusted
    ppo                     several steps on the same data
    entropy                 what randomness is worth

And a room of its own, which no other opens:

    exercises       what is wrong with a reader's solution
"""
